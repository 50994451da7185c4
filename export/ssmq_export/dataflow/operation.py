"""What one node of a dataflow graph does to integer codes: the one description that everybody reads."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import Literal, get_args

import numpy as np

from ..errors import ExportError
from .diagonal_scan import scan
from .hardware import Part, ScanShape
from .ranges import Range
from .rows import Row

Kind = Literal[
    "scan", "dense", "gather", "spread", "product", "scale", "shift", "sum", "offset", "rounding", "thresholds", "running sum",
    "state", "fork",
]  # fmt: skip
MATRICES = ("dense", "gather", "spread")
FACTORS = ("scale", "shift")
COUNTS = ("rounding", "thresholds")
# Elements that an operation takes and gives: (varying inputs, whether it has a constant).
OPERANDS = {
    **dict.fromkeys(MATRICES, (1, True)),
    **dict.fromkeys(FACTORS, (1, True)),
    **dict.fromkeys(COUNTS, (1, True)),
    "offset": (1, True),
    "product": (2, False),
    "sum": (2, False),
    "scan": (1, False),
    "running sum": (1, False),
    "state": (0, False),
    "fork": (0, False),
}


@dataclass(frozen=True, eq=False)
class Operation:
    """One node, or a memory between nodes: the ``state`` that a port is, the ``fork`` of a tensor with several readers.

    ``inputs`` are the tensors that vary, in order, ``sources`` their exact ranges, ``limits`` that of ``output``.
    ``constant`` int64: a matrix (inputs, outputs), a factor or a term (channels,), thresholds (1 or channels, n) in
    ascending order. ``sign``: of the second tensor of a sum, or of the tensor of an offset. ``bias``: the code below all
    thresholds; ``rows``: the thresholds of every channel as what they are proved to be over the whole range of the
    input. ``parameters``: of a scan, by the names of its inputs, with its ``shape``. ``dims``: sizes whose
    divisors may be lanes, (channels,), (outputs, terms) of a matrix or (heads, modes) of a scan. ``parts``: what it is
    made of. Raises ExportError where these contradict each other.
    """

    name: str
    op: str
    kind: Kind
    inputs: tuple[str, ...]
    output: str
    sources: tuple[Range, ...]
    limits: Range
    dims: tuple[int, ...]
    parts: tuple[Part, ...]
    constant: np.ndarray | None = None
    sign: int = 1
    bias: int = 0
    rows: tuple[Row, ...] = ()
    parameters: dict[str, np.ndarray] = field(default_factory=dict)
    shape: ScanShape | None = None

    def __post_init__(self):
        self._must(self.kind in get_args(Kind), f"its kind must be one of {', '.join(get_args(Kind))}, not {self.kind}")
        wanted, fixed = OPERANDS[self.kind]
        found = len(self.inputs), self.constant is not None
        self._must(
            found == (wanted, fixed), f"a {self.kind} must have {wanted} tensors{' and a constant' * fixed}, not {found[0]}"
        )
        self._must(
            len(self.sources) == len(self.inputs), f"it must have {len(self.inputs)} ranges of inputs, not {len(self.sources)}"
        )
        for low, high in (*self.sources, self.limits):
            fits = low.shape == high.shape and low.dtype == high.dtype == np.int64 and np.all(low <= high)
            self._must(bool(fits), "a range must be int64 (low, high) with low <= high, not what it is")
        self._must(self.sign in (1, -1), f"its sign must be 1 or -1, not {self.sign}")
        self._must(bool(self.parts), "it must have parts")
        rows = self.channels if self.kind in COUNTS else 0
        self._must(len(self.rows) == rows, f"it must have {rows} proved rows, not {len(self.rows)}")
        counts = [len(low) for low, _ in self.sources]
        if self.kind == "product":
            self._must(counts == [self.channels] * 2, f"its factors must have equal channels, not {counts[0]} and {counts[1]}")
        if self.kind == "sum":
            self._must({*counts} <= {1, self.channels}, f"its terms must have 1 or {self.channels} channels, not {counts}")
        if self.constant is not None:
            self._check_constant()

    def _must(self, holds: bool, what: str) -> None:
        if not holds:
            raise ExportError(f"{self.output}: {what}")

    def _check_constant(self) -> None:
        self._must(self.fixed.dtype == np.int64, f"its constant must be int64, not {self.fixed.dtype}")
        given, made, shape = len(self.sources[0][0]), self.channels, self.fixed.shape
        if self.kind in MATRICES:
            self._must(shape == (given, made), f"its matrix must be ({given}, {made}), not {shape}")
        elif self.kind in COUNTS:
            self._must(len(shape) == 2 and shape[0] in (1, made), f"its thresholds must be 1 or {made} rows, not {shape}")
            self._must(not np.any(np.diff(self.fixed, axis=1) < 0), "its thresholds must ascend, not fall")
        else:
            self._must(shape in ((1,), (made,)), f"its constant must have 1 or {made} channels, not {shape}")

    @property
    def fixed(self) -> np.ndarray:
        """The constant of a kind that has one."""
        assert self.constant is not None, self.kind
        return self.constant

    @property
    def scan_shape(self) -> ScanShape:
        """The shape of a scan."""
        assert self.shape is not None, self.kind
        return self.shape

    @property
    def channels(self) -> int:
        return len(self.limits[0])

    @property
    def items(self) -> int:
        """Elementary operations a step."""
        return prod(self.dims)

    @property
    def multiplications(self) -> int:
        return sum(part.multiplications for part in self.parts)

    @property
    def stored_bits(self) -> int:
        return sum(part.stored_bits for part in self.parts)

    def stored_as(self, kind: str) -> int:
        """Bits kept in memories of one kind of part."""
        return sum(part.stored_bits for part in self.parts if part.kind == kind)

    def evaluate(self, *codes: np.ndarray) -> np.ndarray:
        """The output codes of the inputs' ``(..., channels)``, exact; a scan and a running sum take ``(B, T, channels)``."""
        codes = tuple(np.asarray(one, np.int64) for one in codes)
        if self.kind in MATRICES:
            return codes[0] @ self.fixed
        if self.kind in FACTORS:
            return codes[0] * self.fixed
        if self.kind == "offset":
            return self.sign * codes[0] + self.fixed
        if self.kind in COUNTS:
            passed = codes[0][..., None] >= self.fixed
            return self.bias + np.count_nonzero(passed, axis=-1)
        if self.kind == "product":
            return codes[0] * codes[1]
        if self.kind == "sum":
            return codes[0] + self.sign * codes[1]
        if self.kind == "scan":
            return scan(codes[0], self.parameters, self.scan_shape.state_bits)
        if self.kind == "running sum":
            return codes[0].sum(axis=1, keepdims=True)
        return codes[0]
