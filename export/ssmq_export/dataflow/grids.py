"""Integer tensors: which grid they lie on and how large their codes can be."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import ranges
from .datatype import integer_type


@dataclass(frozen=True)
class Grid:
    """Codes of one tensor: ``exponent``, ``low`` and ``high`` are int64 arrays ``(channels,)``."""

    exponent: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @property
    def channels(self) -> int:
        return len(self.low)

    @property
    def datatype(self) -> str:
        """The narrowest FINN integer type that holds every code."""
        return integer_type(int(self.low.min()), int(self.high.max()))

    @property
    def limits(self) -> ranges.Range:
        return self.low, self.high

    def shifted(self, exponent: np.ndarray) -> Grid:
        """The same values on a finer grid. Raises ExportError past 62 bits, as ``product`` and ``matmul`` do."""
        shift = self.exponent - exponent
        ranges.refuse_wide(np.ldexp(ranges.magnitude(self.limits), shift))
        return Grid(exponent, self.low << shift, self.high << shift)


def uniform(channels: int, exponent: np.ndarray | int, low: int, high: int) -> Grid:
    """The same range in every channel."""
    filled = np.broadcast_to(np.asarray(exponent, np.int64), (channels,)).copy()
    return Grid(filled, np.full(channels, low, np.int64), np.full(channels, high, np.int64))


def product(left: Grid, right: Grid) -> Grid:
    """Elementwise product."""
    return Grid(left.exponent + right.exponent, *ranges.product(left.limits, right.limits))


def matmul(source: Grid, weight: np.ndarray, exponent: np.ndarray) -> Grid:
    """``codes @ weight`` with integer ``weight`` (inputs, outputs); exact range from the weights themselves."""
    return Grid(exponent, *ranges.matmul(source.limits, weight))


def total(left: Grid, right: Grid, sign: int) -> Grid:
    """Sum or difference of two tensors on the same grid."""
    return Grid(left.exponent, *ranges.total(left.limits, right.limits, sign))
