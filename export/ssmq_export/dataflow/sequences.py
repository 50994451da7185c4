"""Sequences as users give them, ``(B, T)`` of one input channel or ``(B, T, C)``; graphs and engines know the second."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

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


def nearest_codes(values: ArrayLike, port: Port) -> np.ndarray:
    """The codes int32 of the input ``port`` that are nearest to ``values``, an array or a torch tensor ``(..., C)``, or of any
    shape for one channel; what lies beyond its range becomes its end."""
    # A room that knows no torch: its tensors are told by what they can do.
    try:
        found = np.asarray(values.detach().cpu().double() if hasattr(values, "detach") else values)
    except ValueError as error:
        raise ExportError(f"{port.name}: must be an array of numbers ({error})") from error
    if found.dtype.kind not in "fiub":
        raise ExportError(f"{port.name}: must be an array of numbers, not of {found.dtype}")
    if not np.isfinite(found).all():
        raise ExportError(f"{port.name}: holds values that are no finite numbers: look at what makes them")
    if port.channels > 1 and found.shape[-1:] != (port.channels,):
        raise ExportError(f"{port.name}: has {port.channels} channels, which come last, and is given the shape {found.shape}")
    scaled = np.rint(np.ldexp(found.astype(np.float64), -port.format.exponent))
    return scaled.clip(port.format.low, port.format.high).astype(np.int32)


def batch_codes(batch: ArrayLike, port: Port, steps: int) -> np.ndarray:
    """As ``nearest_codes`` of a batch of values ``(B, steps, C)``, as the network takes them."""
    shape = tuple(getattr(batch, "shape", ()))
    if len(shape) != 3 or shape[1:] != (steps, port.channels) or not shape[0]:
        wanted = f"(B, {steps}, {port.channels})"
        told = shape if hasattr(batch, "shape") else type(batch).__name__
        raise ExportError(f"the batch must be a tensor {wanted} of sequences, as the calibration batch was, not {told}")
    return nearest_codes(batch, port)


def noise(port: Port, count: int, steps: int) -> np.ndarray:
    """Codes ``(count, steps, C)`` of the input ``port``: random, and in the last of several sequences the highest."""
    low, high = port.format.low, port.format.high
    codes = np.random.default_rng(0).integers(low, high + 1, (count, steps, port.channels))
    codes[1:][-1:] = high
    return codes
