"""Exact integer thresholds of a monotone function, and the rise-and-fall pair of any other.

Level k of a function f from accumulator codes to output codes has the threshold T_k = min{s : f(s) >= k}; then
f(s) = low + #{k : s >= T_k}. A function that falls is one of -s that rises. One that does both is the difference of
two such counts: each step up is a threshold of the first, each step down one of the second (a table of 2**bits entries
in threshold form).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..errors import ExportError
from .elementwise import ElementwiseFunction

TABLE_RANGE = 1 << 16


def monotone_thresholds(
    function: Callable[[np.ndarray], np.ndarray], low: np.ndarray, high: np.ndarray, levels: np.ndarray
) -> np.ndarray:
    """Thresholds ``(channels, len(levels))`` of a non-decreasing function on the codes ``low .. high`` of each channel.

    ``levels`` are the output codes above the lowest. A level never reached gets ``high + 1``, one always passed ``low``.
    """
    # Rows are levels, columns channels: the shape the graph's own broadcasting of per-channel constants expects.
    left = np.broadcast_to(low, (len(levels), len(low))).astype(np.int64).copy()
    right = np.broadcast_to(high, left.shape).astype(np.int64) + 1
    wanted = levels[:, None]
    while np.any(left < right):
        middle = (left + right) // 2
        reached = function(middle) >= wanted
        active = left < right
        right = np.where(active & reached, middle, right)
        left = np.where(active & ~reached, middle + 1, left)
    return left.T.copy()


def turned_thresholds(
    function: ElementwiseFunction, signs: np.ndarray, low: np.ndarray, high: np.ndarray, levels: np.ndarray
) -> np.ndarray:
    """As ``monotone_thresholds``, but of ``signs`` times the codes: in the channels of sign -1 the function never rises."""
    lowest, highest = np.sort(np.stack([signs * low, signs * high]), axis=0)
    return monotone_thresholds(lambda codes: function(codes * signs), lowest, highest, levels)


def table(function: ElementwiseFunction, low: np.ndarray, high: np.ndarray, tensor: str) -> np.ndarray:
    """Output codes ``(high - low + 1, channels)`` of every input code; all channels share one range."""
    first, last = int(low.min()), int(high.max())
    if last - first + 1 > TABLE_RANGE:
        raise ExportError(
            f"{tensor}: the function before this quantiser is not monotone and its input has {last - first + 1} codes; "
            f"a table holds at most {TABLE_RANGE}: quantise its input first"
        )
    codes = np.arange(first, last + 1)[:, None]
    return function(np.broadcast_to(codes, (len(codes), len(low))))


def table_thresholds(outputs: np.ndarray, first: int, levels: np.ndarray) -> np.ndarray | None:
    """As ``monotone_thresholds``, of a table whose first entry is that of the code ``first``; None if it falls anywhere."""
    if np.any(np.diff(outputs, axis=0) < 0):
        return None
    return first + np.stack([np.searchsorted(column, levels) for column in outputs.T])


def rise_and_fall(outputs: np.ndarray, first: int) -> tuple[int, np.ndarray, np.ndarray]:
    """Split a table into (start, rises, falls): f(s) = start + #{rises <= s} - #{falls <= s}, a channel a row.

    A channel that starts above another rises at ``first`` already. Rows are padded with the code after the last, which
    no input reaches.
    """
    start = int(outputs[0].min())
    steps = np.diff(outputs, axis=0, prepend=start)  # (codes, channels)
    positions = first + np.arange(len(outputs))
    rises = [np.repeat(positions, np.maximum(step, 0)) for step in steps.T]
    falls = [np.repeat(positions, np.maximum(-step, 0)) for step in steps.T]
    never = first + len(outputs)
    return start, _padded(rises, never), _padded(falls, never)


def _padded(rows: list[np.ndarray], fill: int) -> np.ndarray:
    width = max(1, max(len(row) for row in rows))
    return np.stack([np.concatenate([row, np.full(width - len(row), fill)]) for row in rows])
