"""Exact ranges of codes, channel by channel: the least and the greatest that sums and products of codes can be."""

from __future__ import annotations

import numpy as np

from ..errors import ExportError

# (low, high), int64 (channels,).
Range = tuple[np.ndarray, np.ndarray]
# Where float64 still tells whether int64 would do.
WIDEST = 2.0**61


def refuse_wide(magnitude: np.ndarray) -> None:
    """Raise ExportError for a magnitude past 61 bits, given in float64: in int64 it would have wrapped."""
    if np.any(magnitude >= WIDEST):
        raise ExportError("its codes need more than 62 bits: choose narrower formats")


def magnitude(limits: Range) -> np.ndarray:
    """Largest code of each channel, float64."""
    low, high = limits
    return np.maximum(np.abs(low.astype(np.float64)), np.abs(high.astype(np.float64)))


def constant(values: np.ndarray) -> Range:
    """A constant holds what it holds."""
    flat = values.reshape(-1)
    return flat, flat


def product(left: Range, right: Range) -> Range:
    """Elementwise product; one channel broadcasts."""
    refuse_wide(magnitude(left) * magnitude(right))
    corners = [one * other for one in left for other in right]
    return np.minimum.reduce(corners), np.maximum.reduce(corners)


def matmul(source: Range, weight: np.ndarray) -> Range:
    """``codes @ weight`` with integer ``weight`` (inputs, outputs)."""
    refuse_wide(magnitude(source) @ np.abs(weight.astype(np.float64)))
    low, high = source
    positive, negative = np.maximum(weight, 0), np.minimum(weight, 0)
    return low @ positive + high @ negative, high @ positive + low @ negative


def total(left: Range, right: Range, sign: int) -> Range:
    """Left plus or minus right; one channel broadcasts."""
    refuse_wide(magnitude(left) + magnitude(right))
    if sign > 0:
        return left[0] + right[0], left[1] + right[1]
    return left[0] - right[1], left[1] - right[0]
