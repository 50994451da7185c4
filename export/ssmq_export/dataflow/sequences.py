"""Sequences as users give them, ``(B, T)`` of one input channel or ``(B, T, C)``; graphs and engines know the second."""

from __future__ import annotations

import numpy as np

from ..errors import ExportError
from .ports import Port


def input_codes(codes: np.ndarray, port: Port, *axes: str) -> np.ndarray:
    """Codes of the input ``port`` with ``axes`` (those of sequences by default) and its channels as dimensions.

    Any integer type holds them. Raises ExportError for another shape or type and for codes out of the port's format, at
    which no engine looks.
    """
    codes, axes, channels = np.asarray(codes), axes or ("B", "T"), port.channels
    whole = codes[..., None] if channels == 1 and codes.ndim == len(axes) else codes
    low, high = port.format.low, port.format.high
    found = f"{codes.dtype} {codes.shape}"
    if codes.dtype.kind in "iu" and whole.ndim == len(axes) + 1 and whole.shape[-1] == channels and codes.size:
        held = np.iinfo(codes.dtype)
        # A type that holds nothing else needs no look.
        if (held.min >= low and held.max <= high) or (codes.min() >= low and codes.max() <= high):
            return whole
        found = f"from {codes.min()} to {codes.max()}"
    shape = ", ".join((*axes, str(channels)) if channels > 1 else axes)
    raise ExportError(f"codes of {port.name} must be integers from {low} to {high}, ({shape}) and not empty, these are {found}")


def noise(port: Port, count: int, steps: int) -> np.ndarray:
    """Codes ``(count, steps, C)`` of the input ``port``: random, and in the last of several sequences the highest."""
    low, high = port.format.low, port.format.high
    codes = np.random.default_rng(0).integers(low, high + 1, (count, steps, port.channels))
    codes[1:][-1:] = high
    return codes
