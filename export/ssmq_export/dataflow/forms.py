"""Sums of products with constants: a tensor as an integer-affine form of stored rows.

MatMul, Mul by a constant, Add and Sub between two stored tensors collapse into one sparse form, so that a channel is
one sum over the rows that feed it. Integer sums are exact in any order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import ExportError


@dataclass(frozen=True)
class Form:
    """``out[c] = constant[c] + sum over terms with channel == c of weight * rows[row]``.

    Terms are sorted by (channel, row) without repeats or zeros; all arrays are int64, ``constant`` is ``(channels,)``.
    """

    channel: np.ndarray
    row: np.ndarray
    weight: np.ndarray
    constant: np.ndarray

    @property
    def channels(self) -> int:
        return len(self.constant)

    @property
    def starts(self) -> np.ndarray:
        """``(channels + 1,)``: the terms of channel c are ``starts[c]:starts[c + 1]``."""
        return np.searchsorted(self.channel, np.arange(self.channels + 1))

    @property
    def longest(self) -> int:
        """Terms of the channel that has most."""
        return int(np.diff(self.starts).max(initial=0))

    def bounds(self, low: np.ndarray, high: np.ndarray, tensor: str) -> tuple[np.ndarray, np.ndarray]:
        """Range of every channel from the ranges of the rows; ExportError names ``tensor`` past 63 bits."""
        magnitude = np.maximum(np.abs(low), np.abs(high)).astype(np.float64)[self.row]
        sums = np.abs(self.constant.astype(np.float64))
        np.add.at(sums, self.channel, magnitude * np.abs(self.weight.astype(np.float64)))
        if np.any(sums >= 2.0**62):
            raise ExportError(f"{tensor}: its sums need more than 63 bits: choose narrower formats")
        ends = [self.weight * low[self.row], self.weight * high[self.row]]
        lowest, highest = self.constant.copy(), self.constant.copy()
        np.add.at(lowest, self.channel, np.minimum(*ends))
        np.add.at(highest, self.channel, np.maximum(*ends))
        return lowest, highest


def identity(first: int, channels: int) -> Form:
    """The rows ``first .. first + channels - 1`` themselves."""
    index = np.arange(channels)
    return Form(index, first + index, np.ones(channels, np.int64), np.zeros(channels, np.int64))


def scaled(form: Form, factor: np.ndarray) -> Form:
    """Channel c times ``factor[c]``; ``factor`` broadcasts to ``(channels,)``."""
    factor = np.broadcast_to(factor.reshape(-1), form.constant.shape)
    return _combined(form.channel, form.row, form.weight * factor[form.channel], form.constant * factor)


def moved(form: Form, term: np.ndarray) -> Form:
    """Channel c plus ``term[c]``."""
    return Form(form.channel, form.row, form.weight, form.constant + term.reshape(-1))


def total(left: Form, right: Form, sign: int) -> Form:
    """Left plus or minus right, channel by channel; one with a single channel broadcasts."""
    left, right = _broadcast(left, right.channels), _broadcast(right, left.channels)
    return _combined(
        np.concatenate([left.channel, right.channel]),
        np.concatenate([left.row, right.row]),
        np.concatenate([left.weight, sign * right.weight]),
        left.constant + sign * right.constant,
    )


def matmul(form: Form, weight: np.ndarray) -> Form:
    """``form @ weight`` with ``weight`` (inputs, outputs); its zeros cost nothing."""
    source, target = np.nonzero(weight)
    factor = weight[source, target]
    starts = form.starts
    counts = np.diff(starts)[source]
    # Term k of the product: the terms of every weight's source channel, one weight after another.
    owner = np.repeat(np.arange(len(source)), counts)
    offset = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    term = starts[source][owner] + offset
    products = form.weight[term] * factor[owner]
    return _combined(target[owner], form.row[term], products, form.constant @ weight)


def _broadcast(form: Form, channels: int) -> Form:
    if form.channels == channels or form.channels != 1:
        return form
    count = len(form.row)
    return Form(
        np.repeat(np.arange(channels), count),
        np.tile(form.row, channels),
        np.tile(form.weight, channels),
        np.repeat(form.constant, channels),
    )


def _combined(channel: np.ndarray, row: np.ndarray, weight: np.ndarray, constant: np.ndarray) -> Form:
    order = np.lexsort((row, channel))
    channel, row, weight = channel[order], row[order], weight[order]
    new = np.ones(len(channel), bool)
    new[1:] = (np.diff(channel) != 0) | (np.diff(row) != 0)
    first = np.flatnonzero(new)
    sums = np.add.reduceat(weight, first) if len(first) else weight
    kept = sums != 0
    return Form(channel[first][kept], row[first][kept], sums[kept], constant)
