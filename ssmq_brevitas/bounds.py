"""Accumulator widths, computed from formats: the integer contract's rule 2.

Every sum between two quantisers must be exact. float32 holds integers exactly to 24 bits and float64 to 53, so a
model whose widest accumulator needs at most 24 runs in float32, at most 53 in float64, and is refused beyond.

A width is that of the narrowest two's complement which holds every value that the sum takes when each of its codes runs
through its whole format, on the finest grid among its terms: what formats allow, no more and no less. Zero is a code of
every format, so a partial sum, in whatever order, needs no more.
"""

from __future__ import annotations

import numpy as np

from .errors import SsmqError
from .formats import Format

FLOAT32_BITS, FLOAT64_BITS = 24, 53

Term = tuple[int, int, np.ndarray]
"""Least value, greatest value, and the exponent of the grid they are counted on."""


def signed_bits(low: int, high: int) -> int:
    """Bits of the narrowest two's complement that holds ``low`` .. ``high``, with 0 among them."""
    return max(-low - 1, high).bit_length() + 1


def code_term(fmt: Format, times: int = 1) -> Term:
    return times * fmt.low, times * fmt.high, fmt.exponent


def product_term(left: Format, right: Format, times: int = 1) -> Term:
    """``times`` products of any codes of two formats."""
    ends = [a * b for a in (left.low, left.high) for b in (right.low, right.high)]
    return times * min(ends), times * max(ends), left.exponent + right.exponent


def sum_bits(*terms: Term) -> int:
    exponents = np.stack([np.ravel(e) for e in np.broadcast_arrays(*(exponent for _, _, exponent in terms))])
    # Python's integers: shifts are as long as exponents differ, and a float's logarithm is wrong just above 2**52.
    shifts = np.unique(exponents - exponents.min(axis=0), axis=1).T.tolist()
    return max(
        signed_bits(*(sum(term[end] << shift for term, shift in zip(terms, row, strict=True)) for end in (0, 1)))
        for row in shifts
    )


def least_bits(*terms: Term) -> int:
    """The least ``sum_bits`` that any exponents give these terms: all on one grid."""
    return signed_bits(sum(low for low, _, _ in terms), sum(high for _, high, _ in terms))


def linear_terms(inputs: int, weight: Format, feeding: Format, bias: Format | None) -> tuple[Term, ...]:
    product = product_term(weight, feeding, inputs)
    return (product,) if bias is None else (product, code_term(bias))


def state_terms(a: Format, b: Format, x: Format, u: Format) -> tuple[Term, Term]:
    """Of the imaginary part, which adds both its products: the real part, which subtracts one, is never wider."""
    return product_term(a, x, 2), product_term(b, u)


def readout_terms(modes: int, c: Format, d: Format, x: Format, u: Format) -> tuple[Term, Term]:
    """2 Re is a shift by one place of a difference, which reaches as far to both sides."""
    low, high, exponent = product_term(c, x, modes)
    span = high - low
    return (-span, span, exponent + 1), product_term(d, u)


def by_head(fmt: Format) -> Format:
    """Of B̄ and C, exponents ``()`` or ``(H, N or 1)``: re and im share theirs."""
    return Format(fmt.bits, fmt.signed, fmt.exponent.reshape(fmt.exponent.shape[:2]))


def refuse_wide(widths: dict[str, int]) -> None:
    """Raise SsmqError naming the first tensor whose accumulator is past float64's 53 bits."""
    for name, width in widths.items():
        if width > FLOAT64_BITS:
            raise SsmqError(
                f"the accumulator of {name} needs {width} bits, more than the {FLOAT64_BITS} that are exact: "
                f"narrow the tensors that feed it"
            )
