"""The format of a model's inputs: that of integers by their type, that of floats by the range of the training split.

A model reads the code ``k`` as ``k * 2**exponent``. Integers are codes as they are, and stand for values from 0 or -1 up to
1: of ``b`` bits the exponent is ``-b``, or ``1 - b`` with a sign. Floats are rounded half to even and saturate. All channels
share a format: those of different units should be brought to about the same range.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from .errors import SsmqError
from .formats import Format, covering_exponent
from .section import Section

# As many as the greatest and the least leave room for, once a scheme keeps fewer bits.
EXPONENTS = (-64, 24)
INTEGERS = tuple(map(np.dtype, ("uint8", "int8", "uint16", "int16")))
FLOATS = tuple(map(np.dtype, ("float16", "float32", "float64")))
# Values that are looked at together: their codes are wider than they.
PIECE = 2**20


class InputFormat(Section):
    """Codes of ``bits`` bits, two's complement if ``signed``, that stand for multiples of ``2**exponent``.

    ``quantize`` takes it for inputs that are codes already, such as a sensor's: the graphs read them as they are. Raises
    SsmqError naming what is out of range.

    >>> import torch
    >>> from ssmq_brevitas import InputFormat, Scheme, quantize
    >>> codes = torch.randint(-2048, 2048, (8, 20, 1))
    >>> sensor = InputFormat(bits=12, signed=True, exponent=-11)
    >>> network = torch.nn.Sequential(torch.nn.Linear(1, 2), torch.nn.ReLU())
    >>> scheme = Scheme(bits={"input": 12})
    >>> quantized = quantize(network, scheme, codes * 2.0**-11, sensor)
    >>> str(sensor), int(quantized.input_quant.format.exponent)
    ('12 bits signed times 2^-11', -11)
    """

    bits: Annotated[int, Field(ge=2, le=16)]
    signed: bool
    exponent: Annotated[int, Field(ge=EXPONENTS[0], le=EXPONENTS[1])]

    @property
    def format(self) -> Format:
        """That of all ``bits``."""
        return Format(self.bits, self.signed, np.array(self.exponent))

    def kept(self, bits: int) -> Format:
        """The same range in the first ``bits`` bits alone, all of them if there are no more."""
        kept = min(bits, self.bits)
        return Format(kept, self.signed, np.array(self.exponent + self.bits - kept))

    def __str__(self) -> str:
        return f"{self.bits} bits {'signed' if self.signed else 'unsigned'} times 2^{self.exponent}"


PIXELS = InputFormat(bits=8, signed=False, exponent=-8)


def own_format(dtype: np.dtype) -> InputFormat:
    """That of integers of a type."""
    bits, signed = 8 * dtype.itemsize, dtype.kind == "i"
    return InputFormat(bits=bits, signed=signed, exponent=signed - bits)


def covering_format(x: np.ndarray, bits: int) -> InputFormat:
    """The finest format of ``bits`` bits in which no value of ``x`` saturates, signed if one is negative."""
    bits = max(bits, 2)
    low, high = float(x.min()), float(x.max())
    signed = low < 0
    exponent = int(covering_exponent(high, bits, signed)) if high > 0 or not signed else EXPONENTS[0]
    if signed:  # two's complement reaches one code further down
        exponent = max(exponent, int(np.ceil(np.log2(-low))) - (bits - 1))
    if not EXPONENTS[0] <= exponent <= EXPONENTS[1]:
        raise SsmqError(f"values from {low:g} to {high:g} have no format of {bits} bits: scale them to about 1")
    return InputFormat(bits=bits, signed=signed, exponent=exponent)


def codes_of(x: np.ndarray, given: InputFormat) -> np.ndarray:
    """The codes of floats ``x`` ``(n, ...)``, in the narrowest type that holds them all and that torch computes with."""
    fmt = given.format
    kind = next(kind for kind in (np.uint8, np.int8, np.int16, np.int32) if _holds(kind, fmt))
    found = np.empty(x.shape, kind)
    count = max(1, PIECE // max(1, x[0].size)) if len(x) else 1
    for start in range(0, len(x), count):
        found[start : start + count] = fmt.codes(x[start : start + count])
    return found


def _holds(kind: type[np.integer], fmt: Format) -> bool:
    return np.iinfo(kind).min <= fmt.low and fmt.high <= np.iinfo(kind).max


def refuse_beyond(x: np.ndarray, given: InputFormat) -> None:
    """Raise SsmqError if integers ``x`` are no codes of this format."""
    fmt = given.format
    if x.size and (x.min() < fmt.low or x.max() > fmt.high):
        raise SsmqError(
            f"codes from {x.min()} to {x.max()} are not those of {given}, {fmt.low} to {fmt.high}: correct one of the two"
        )
