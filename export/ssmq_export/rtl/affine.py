"""Thresholds as one line a channel, ``clip(round_half_even((factor * x + offset) / 2**shift))``, solved exactly.

A count of thresholds reaches level y at an input T_y and not before; the line does the same where

    factor * T_y + offset >= s_y   and   factor * (T_y - 1) + offset < s_y

with s_y the least sum that rounds to y. For one factor these are an interval of offsets, whose length is concave in the
factor: bisection on its slope finds a factor, or proves that there is none.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..dataflow.operation import Operation
from ..dataflow.rows import first_inputs

# A line that needs a finer grid is dearer than the search that takes its place.
FINEST = 20
WIDEST = 2.0**61


@dataclass(frozen=True, eq=False)
class Line:
    """int64 ``factor`` and ``offset`` ``(channels,)``; codes are clipped to ``low .. high``."""

    factor: np.ndarray
    offset: np.ndarray
    shift: int
    low: int
    high: int

    @property
    def term(self) -> np.ndarray:
        """The offset with half of what is rounded away, as the rounder wants it."""
        return self.offset + ((1 << self.shift) >> 1)

    def evaluate(self, codes: np.ndarray) -> np.ndarray:
        """Output codes of ``(..., channels)``."""
        total = codes * self.factor + self.term
        rounded = total >> self.shift
        ties = (total & ((1 << self.shift) - 1)) == 0
        rounded -= rounded & 1 & ties & (self.shift > 0)
        return np.clip(rounded, self.low, self.high)


@lru_cache(maxsize=1024)
def line_of(operation: Operation) -> Line | None:
    """The line that a counting operation is over the whole range of its input, None if it is none."""
    ((lows, highs),) = operation.sources
    reached = operation.evaluate(lows), operation.evaluate(highs)
    clip = int(reached[0].min()), int(reached[1].max())
    known: dict[tuple, _Channel] = {}
    channels = []
    for c, ends in enumerate(zip(lows.tolist(), highs.tolist(), strict=True)):
        thresholds = operation.fixed[c if len(operation.fixed) > 1 else 0]
        key = thresholds.tobytes(), ends
        if key not in known:
            known[key] = _Channel(thresholds, operation.bias, *ends, clip)
        channels.append(known[key])
    shift = 0
    for channel in known.values():
        while channel.least_factor(shift) is None:
            shift += 1
            if shift > FINEST:
                return None
    found = _common(channels, shift)
    line = Line(*found, shift, *clip)
    return line if _equal(line, operation) else None


def _common(channels: list[_Channel], shift: int) -> tuple[np.ndarray, np.ndarray]:
    """Factors and offsets, one offset for all channels where one fits all."""
    factors = np.array([channel.least_factor(shift) for channel in channels])
    ends = np.array([channel.offsets(int(factor), shift) for channel, factor in zip(channels, factors, strict=True)])
    lowest, highest = ends[:, 0].max(), ends[:, 1].min()
    if lowest <= highest:
        ends[:] = lowest, highest
    # The offset nearest to 0 has the fewest bits.
    return factors, np.clip(0, ends[:, 0], ends[:, 1])


def _equal(line: Line, operation: Operation) -> bool:
    """Both never fall: equality at every threshold, just before it and at both ends is equality everywhere."""
    ((low, high),) = operation.sources
    points = np.concatenate([operation.fixed, operation.fixed - 1], axis=1).T
    points = np.clip(np.concatenate([points + 0 * low, low[None], high[None]]), low, high)
    return bool(np.all(line.factor >= 0)) and np.array_equal(line.evaluate(points), operation.evaluate(points))


class _Channel:
    """The inequalities of one channel for inputs ``low .. high``, but for those that clipping meets."""

    def __init__(self, thresholds: np.ndarray, bias: int, low: int, high: int, clip: tuple[int, int]):
        levels = bias + 1 + np.arange(len(thresholds))
        at = np.clip(thresholds, low, high + 1)
        # Of levels that every input reaches the highest binds, of those that none reaches the lowest; ``reach`` lists
        # inputs that reach a level, ``miss`` those that do not.
        inner = (at > low) & (at <= high)
        always, never = np.flatnonzero(at <= low)[-1:], np.flatnonzero(at > high)[:1]
        always, never = always[levels[always] > clip[0]], never[levels[never] <= clip[1]]
        self.reach = np.concatenate([at[inner], np.full(len(always), low)])
        self.reached = np.concatenate([levels[inner], levels[always]])
        self.miss = np.concatenate([at[inner] - 1, np.full(len(never), high)])
        self.missed = np.concatenate([levels[inner], levels[never]])
        self.steepest = len(thresholds) + 2
        self.largest = float(max(abs(low), abs(high) + 1, 1)), float(np.abs(levels).max(initial=1) + 1)
        self._factors: dict[int, int | None] = {}

    def offsets(self, factor: int, shift: int) -> tuple[int, int]:
        """Least and greatest offset that fit a factor; none do where the first is the larger."""
        least = int((first_inputs(self.reached, shift, True) - factor * self.reach).max(initial=-(2**60)))
        most = int((first_inputs(self.missed, shift, True) - 1 - factor * self.miss).min(initial=2**60))
        return least, most

    def least_factor(self, shift: int) -> int | None:
        if shift not in self._factors:
            self._factors[shift] = self._least_factor(shift)
        return self._factors[shift]

    def _least_factor(self, shift: int) -> int | None:
        left, right = 0, self.steepest << shift
        if right * self.largest[0] + self.largest[1] * 2.0**shift > WIDEST:
            return None
        while left <= right:
            factor = (left + right) // 2
            least, most = self.offsets(factor, shift)
            if least <= most:
                return self._first(left, factor, shift)
            slope = self._slope(factor, shift)
            if slope > 0:
                left = factor + 1
            elif slope < 0:
                right = factor - 1
            else:
                return None
        return None

    def _slope(self, factor: int, shift: int) -> int:
        """By how much the interval of offsets grows, at most, with the next factor."""
        i = int(np.argmax(first_inputs(self.reached, shift, True) - factor * self.reach))
        j = int(np.argmin(first_inputs(self.missed, shift, True) - factor * self.miss))
        return int(self.reach[i]) - int(self.miss[j])

    def _first(self, left: int, right: int, shift: int) -> int:
        """The least factor from ``left`` on that fits, ``right`` being one that does: they have no gap."""
        while left < right:
            middle = (left + right) // 2
            least, most = self.offsets(middle, shift)
            left, right = (left, middle) if least <= most else (middle + 1, right)
        return left
