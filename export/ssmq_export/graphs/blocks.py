"""B̄, C and rows of parameters as the matrices of a step graph: head by head, a head's modes side by side."""

from __future__ import annotations

import numpy as np

from ..dataflow.format import Format
from .spec import Constant


def _format(constant: Constant, exponent: np.ndarray) -> Format:
    return Format(constant.format.bits, True, exponent.reshape(()) if exponent.size == 1 else exponent)


def row(constant: Constant) -> Constant:
    """``(H, N)`` as one row ``(1, H·N)``, ``(H,)`` as ``(1, H)``."""
    exponent = np.asarray(constant.format.exponent)
    if exponent.size > 1:
        exponent = np.broadcast_to(exponent, constant.values.shape).reshape(1, -1)
    return Constant(constant.values.reshape(1, -1), _format(constant, exponent))


def spread(constant: Constant) -> Constant:
    """``(H, N)`` as ``(H, H·N)``: head h feeds its own modes."""
    flat, (heads, modes) = row(constant), constant.values.shape
    matrix = np.zeros((heads, heads * modes))
    matrix[np.repeat(np.arange(heads), modes), np.arange(heads * modes)] = flat.values[0]
    return Constant(matrix, flat.format)


def gather(constant: Constant) -> Constant:
    """2 C of ``(H, N)`` as ``(H·N, H)``: each head sums its own modes."""
    heads, modes = constant.values.shape
    exponent = np.asarray(constant.format.exponent) + 1
    if exponent.size > 1:
        exponent = exponent.reshape(1, heads)
    matrix = np.zeros((heads * modes, heads))
    matrix[np.arange(heads * modes), np.repeat(np.arange(heads), modes)] = 2 * constant.values.reshape(-1)
    return Constant(matrix, _format(constant, exponent))
