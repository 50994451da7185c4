"""Sequences as users give them, ``(B, T)`` of one input channel or ``(B, T, C)``; graphs and engines know the second."""

from __future__ import annotations

import numpy as np


def with_channels(sequences: np.ndarray) -> np.ndarray:
    """``(B, T)`` as ``(B, T, 1)``; ``(B, T, C)`` as it is."""
    return sequences[..., None] if sequences.ndim == 2 else sequences
