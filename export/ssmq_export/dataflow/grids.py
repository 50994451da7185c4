"""Integer tensors: which grid they lie on and how large their codes can be."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import ExportError
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
    def magnitude(self) -> np.ndarray:
        """Largest code of each channel, float64."""
        return np.maximum(np.abs(self.low), np.abs(self.high)).astype(np.float64)

    def shifted(self, exponent: np.ndarray) -> Grid:
        """The same values on a finer grid. Raises ExportError past 62 bits, as ``product`` and ``matmul`` do."""
        shift = self.exponent - exponent
        _refuse_wide(np.ldexp(self.magnitude, shift))
        return Grid(exponent, self.low << shift, self.high << shift)


def _refuse_wide(magnitude: np.ndarray) -> None:
    if np.any(magnitude >= 2.0**61):
        raise ExportError("its codes need more than 62 bits: choose narrower formats")


def uniform(channels: int, exponent: np.ndarray | int, low: int, high: int) -> Grid:
    """The same range in every channel."""
    filled = np.broadcast_to(np.asarray(exponent, np.int64), (channels,)).copy()
    return Grid(filled, np.full(channels, low, np.int64), np.full(channels, high, np.int64))


def product(left: Grid, right: Grid) -> Grid:
    """Elementwise product."""
    _refuse_wide(left.magnitude * right.magnitude)
    corners = [a * b for a in (left.low, left.high) for b in (right.low, right.high)]
    return Grid(left.exponent + right.exponent, np.minimum.reduce(corners), np.maximum.reduce(corners))


def matmul(source: Grid, weight: np.ndarray, exponent: np.ndarray) -> Grid:
    """``codes @ weight`` with integer ``weight`` (inputs, outputs); exact range from the weights themselves."""
    _refuse_wide(source.magnitude @ np.abs(weight.astype(np.float64)))
    low, high = source.low[:, None], source.high[:, None]
    positive, negative = np.maximum(weight, 0), np.minimum(weight, 0)
    return Grid(
        exponent, (low * positive + high * negative).sum(axis=0), (high * positive + low * negative).sum(axis=0)
    )


def total(left: Grid, right: Grid, sign: int) -> Grid:
    """Sum or difference of two tensors on the same grid."""
    if sign > 0:
        return Grid(left.exponent, left.low + right.low, left.high + right.high)
    return Grid(left.exponent, left.low - right.high, left.high - right.low)
