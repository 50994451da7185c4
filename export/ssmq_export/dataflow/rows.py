"""MultiThreshold rows compiled to something cheaper than their comparisons, each proved equal to the row it replaces.

    out(s) = bias + #{k : s >= T_k}            for s in low .. high

1. ROUND: the thresholds are those of a shift, rounded half to even or down: ``(s + add + (s >> k & odd)) >> k``.
2. SCALE: they lie on a line: ``(s' * multiplier + offset) >> k`` with s' the clamped distance to the first one.
3. TABLE: buckets of 2**k codes that hold one threshold position each: the code before and from it on.
4. SEARCH: binary search, for what none of the above holds.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

ROUND, SCALE, TABLE, SEARCH = 1, 2, 3, 4
TABLE_ENTRIES = 1 << 14
_BITS = 31


@dataclass(frozen=True)
class Row:
    """One compiled row.

    ROUND  ``numbers`` = (shift, add, odd, first code, last code), ``shift_by`` is added to s before.
    SCALE  ``numbers`` = (base, top, multiplier, offset, shift, first code).
    TABLE  ``numbers`` = (base, top, shift), ``table`` ``(buckets, 3)``: position, code before, code from it on.
    SEARCH ``numbers`` = (count, first code), ``table`` ``(count, 3)``: sorted positions in column 0.
    """

    kind: int
    numbers: tuple[int, ...]
    low: int
    high: int
    shift_by: int = 0
    table: np.ndarray | None = field(default=None, compare=False)


def compile_row(thresholds: np.ndarray, bias: int, low: int, high: int) -> Row:
    """Compile ascending int64 ``thresholds`` for inputs ``low .. high``; the row's own low and high are its codes."""
    thresholds = np.asarray(thresholds, np.int64)
    first = bias + int(np.count_nonzero(thresholds <= low))
    inner = thresholds[(thresholds > low) & (thresholds <= high)]
    last = first + len(inner)
    if not len(inner):
        return Row(ROUND, (0, 0, 0, first, first), first, last)
    for attempt in (_rounding, _line, _buckets):
        row = attempt(inner, first, last)
        if row is not None:
            return row
    table = np.zeros((len(inner), 3), np.int64)
    table[:, 0] = inner
    return Row(SEARCH, (len(inner), first), first, last, table=table)


def compile_rows(levels: np.ndarray, bias: int, low: np.ndarray, high: np.ndarray, known: dict[tuple, Row]) -> tuple[Row, ...]:
    """Thresholds ``levels`` (1 or channels, n) for inputs ``low .. high`` ``(channels,)``, a row a channel.

    Equal rows are compiled once and kept in ``known``.
    """
    found = []
    for c, (lowest, highest) in enumerate(zip(low.tolist(), high.tolist(), strict=True)):
        row = levels[c if len(levels) > 1 else 0]
        key = (row.tobytes(), bias, lowest, highest)
        if key not in known:
            known[key] = compile_row(row, *key[1:])
        found.append(known[key])
    return tuple(found)


def evaluate(row: Row, s: np.ndarray) -> np.ndarray:
    """What the kernels compute, in NumPy, for tests."""
    s = np.asarray(s, np.int64)
    if row.kind == ROUND:
        shift, add, odd, first, last = row.numbers
        s = s + row.shift_by
        return np.clip((s + add + ((s >> shift) & odd)) >> shift, first, last)
    if row.kind == SCALE:
        base, top, multiplier, offset, shift, first = row.numbers
        return first + (((np.clip(s, base, top) - base) * multiplier + offset) >> shift)
    assert row.table is not None
    if row.kind == TABLE:
        base, top, shift = row.numbers
        clamped = np.clip(s, base, top)
        position, before, after = row.table[(clamped - base) >> shift].T
        return np.where(clamped >= position, after, before)
    return row.numbers[1] + np.searchsorted(row.table[:, 0], s, side="right")


def first_inputs(levels: np.ndarray, shift: int, even: bool) -> np.ndarray:
    """The first input of each level of ``s / 2**shift``, rounded half to even or down."""
    return (levels << shift) - (1 << (shift - 1)) + (levels & 1) if even and shift else levels << shift


def rounds_by(thresholds: np.ndarray, levels: np.ndarray, shift: int, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """For which channels ``thresholds`` (channels, n), inside ``low .. high``, are those of half to even by ``shift``."""
    exact = first_inputs(levels, shift, True)
    fits = np.ones(len(low), bool)
    # The levels in the middle tell most shifts apart, and 16-bit states have 65,535.
    middle = len(levels) // 2
    for part in (slice(max(0, middle - 2), middle + 3), slice(None)):
        ends = low[fits, None], high[fits, None] + 1
        fits[fits] = np.all(np.clip(exact[part], *ends) == np.clip(thresholds[fits, part], *ends), axis=1)
    return fits


def _rounding(inner: np.ndarray, first: int, last: int) -> Row | None:
    """Level y starts at y * 2**k - half (ties up) or, half to even, at the next code if y is odd."""
    levels = np.arange(first + 1, last + 1)
    for apart, odd in ((2, 1), (1, 0)):
        if len(inner) <= apart:
            continue
        step = int(inner[apart] - inner[0])
        shift = step.bit_length() - 1 - odd
        if step <= 0 or step & (step - 1) or shift < odd:
            continue
        if max(abs(first), abs(last)).bit_length() + shift > 60:
            continue
        add = (1 << (shift - 1)) - 1 if odd else 0
        line = first_inputs(levels, shift, bool(odd))
        shift_by = int(line[0] - inner[0])
        if np.array_equal(line - shift_by, inner):
            return Row(ROUND, (shift, add, odd, first, last), first, last, shift_by)
    return None


def _line(inner: np.ndarray, first: int, last: int) -> Row | None:
    """Find multiplier m and offset b with ``(p - 1) m + b < j 2**k <= p m + b`` for the j-th position p, if any do.

    The slack of the best b is a concave function of m, so its maximum is found by bisection on its slope.
    """
    base, top = int(inner[0]) - 1, int(inner[-1])
    count = len(inner)
    position = inner - base
    span = top - base
    if count < 3 or span >= 1 << (_BITS - 1):
        return None
    # As many fractional bits as leave the multiplier of the steepest possible line below 2**31.
    shift = ((max(1, span - 1) << _BITS) // (count + 2)).bit_length() - 1
    level = np.arange(1, count + 1) << shift
    left, right = 1, (1 << _BITS) - 1
    while left <= right:
        multiplier = (left + right) // 2
        above, below = level - position * multiplier, level - (position - 1) * multiplier
        j, i = int(np.argmax(above)), int(np.argmin(below))
        if above[j] < below[i]:
            offset = max(int(above[j]), 0)
            if offset >= below[i]:
                return None
            row = Row(SCALE, (base, top, multiplier, offset, shift, first), first, last)
            return row if _exact(row, inner, first) else None
        slope = int(position[j]) - int(position[i]) + 1
        if slope > 0:
            left = multiplier + 1
        elif slope < 0:
            right = multiplier - 1
        else:
            return None
    return None


def _buckets(inner: np.ndarray, first: int, last: int) -> Row | None:
    positions, counts = np.unique(inner, return_counts=True)
    base, top = int(positions[0]) - 1, int(positions[-1])
    gap = int(np.diff(positions).min(initial=top - base))
    shift = gap.bit_length() - 1
    entries = ((top - base) >> shift) + 1
    if entries > TABLE_ENTRIES:
        return None
    codes = first + np.concatenate([[0], np.cumsum(counts)])
    bucket = (positions - base) >> shift
    start = base + (np.arange(entries) << shift)
    passed = np.searchsorted(positions, start, side="right")
    table = np.stack([np.full(entries, top + 1), codes[passed], codes[passed]], axis=1)
    # A position that starts its bucket is passed already and needs no comparison.
    inside = positions > start[bucket]
    table[bucket[inside], 0] = positions[inside]
    table[bucket[inside], 2] = codes[1:][inside]
    row = Row(TABLE, (base, top, shift), first, last, table=table)
    return row if _exact(row, inner, first) else None


def _exact(row: Row, inner: np.ndarray, first: int) -> bool:
    """Equality at every position and just before it is equality everywhere: both sides are non-decreasing."""
    points = np.unique(np.concatenate([inner, inner - 1]))
    return np.array_equal(evaluate(row, points), first + np.searchsorted(inner, points, side="right"))
