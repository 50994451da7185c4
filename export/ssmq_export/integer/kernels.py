"""The program's interpreter: every row of every step of one tile of sequences, integers only, vectorised over lanes.

Stored rows are ``narrow`` int16 ``(rows, lanes)`` and ``wide`` int32 or int64 ``(rows, lanes)``; ``rows`` int64 holds one
operation a line, its columns named below. LLVM multiplies sign-extended int16 with one fast instruction, so operands that
fit are kept narrow. Scalars are read into locals before a lane loop, or every iteration would load them again, and sums
are cast to the accumulator's type at once, or numba would widen them to int64.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from .thresholds import ROUND, SCALE, SEARCH, TABLE

SUM, PRODUCT, PAIR = 0, 5, 6
COLUMNS = 24
# Every operation, then sums: narrow row times narrow weight, narrow times wide, wide times wide; ``PARAMETER`` is where
# the numbers of a compiled threshold row start.
KIND, OUT, OUT_WIDE, CONSTANT = 0, 1, 2, 3
NARROW, MIXED, WIDE = 4, 6, 8
PARAMETER, TABLE_START = 10, 16
# Products: the two operands and whether they are wide.
LEFT, LEFT_WIDE, RIGHT, RIGHT_WIDE = 4, 5, 6, 7
# Pairs: rows of the complex state and its input, 3 weights and a constant for each part, then their rounding.
RE, IM, INPUT, RE_WEIGHTS, IM_WEIGHTS, RE_ROUND, IM_ROUND = 1, 2, 3, 4, 8, 12, 17


@njit(cache=True)
def _add8(acc, narrow, row, weight, j):
    i0, i1, i2, i3 = row[j], row[j + 1], row[j + 2], row[j + 3]
    i4, i5, i6, i7 = row[j + 4], row[j + 5], row[j + 6], row[j + 7]
    w0, w1, w2, w3 = weight[j], weight[j + 1], weight[j + 2], weight[j + 3]
    w4, w5, w6, w7 = weight[j + 4], weight[j + 5], weight[j + 6], weight[j + 7]
    for b in range(acc.shape[0]):
        acc[b] += (
            w0 * narrow[i0, b] + w1 * narrow[i1, b] + w2 * narrow[i2, b] + w3 * narrow[i3, b]
            + w4 * narrow[i4, b] + w5 * narrow[i5, b] + w6 * narrow[i6, b] + w7 * narrow[i7, b]
        )  # fmt: skip


@njit(cache=True)
def _add2(acc, narrow, row, weight, j):
    i0, i1 = row[j], row[j + 1]
    w0, w1 = weight[j], weight[j + 1]
    for b in range(acc.shape[0]):
        acc[b] += w0 * narrow[i0, b] + w1 * narrow[i1, b]


@njit(cache=True)
def _add1(acc, source, row, weight, j):
    i, w = row[j], weight[j]
    for b in range(acc.shape[0]):
        acc[b] += w * source[i, b]


@njit(cache=True)
def _sum(acc, line, narrow, wide, term_row, narrow_weight, wide_weight):
    """``acc = constant + sum of the operation's terms``."""
    start = acc.dtype.type(line[CONSTANT])
    for b in range(acc.shape[0]):
        acc[b] = start
    j, stop = line[NARROW], line[NARROW + 1]
    while j + 8 <= stop:
        _add8(acc, narrow, term_row, narrow_weight, j)
        j += 8
    while j + 2 <= stop:
        _add2(acc, narrow, term_row, narrow_weight, j)
        j += 2
    if j < stop:
        _add1(acc, narrow, term_row, narrow_weight, j)
    for j in range(line[MIXED], line[MIXED + 1]):
        _add1(acc, narrow, term_row, wide_weight, j)
    for j in range(line[WIDE], line[WIDE + 1]):
        _add1(acc, wide, term_row, wide_weight, j)


@njit(cache=True)
def _store(acc, target):
    for b in range(acc.shape[0]):
        target[b] = acc[b]


@njit(cache=True)
def _round(acc, line, target):
    integer = acc.dtype.type
    bits = acc.itemsize * 8 - 1
    # Masked, so that LLVM knows that the shift stays inside the accumulator's type.
    shift = line[PARAMETER] & bits
    add, odd = integer(line[PARAMETER + 1]), integer(line[PARAMETER + 2])
    first, last = integer(line[PARAMETER + 3]), integer(line[PARAMETER + 4])
    for b in range(acc.shape[0]):
        s = acc[b]
        s = integer(integer(s + add + (integer(s >> shift) & odd)) >> shift)
        target[b] = min(max(s, first), last)


@njit(cache=True)
def _scale(acc, line, target):
    integer = acc.dtype.type
    base, top = integer(line[PARAMETER]), integer(line[PARAMETER + 1])
    multiplier, offset = np.uint64(np.uint32(line[PARAMETER + 2])), np.uint64(line[PARAMETER + 3])
    shift, first = np.uint64(line[PARAMETER + 4] & 63), line[PARAMETER + 5]
    for b in range(acc.shape[0]):
        s = min(max(acc[b], base), top)
        distance = np.uint64(np.uint32(s - base))
        target[b] = np.int64((distance * multiplier + offset) >> shift) + first


@njit(cache=True)
def _table(acc, line, table, target):
    integer = acc.dtype.type
    base, top = integer(line[PARAMETER]), integer(line[PARAMETER + 1])
    shift, start = line[PARAMETER + 2], line[TABLE_START]
    for b in range(acc.shape[0]):
        s = min(max(acc[b], base), top)
        bucket = start + ((s - base) >> shift)
        target[b] = table[bucket, 2] if s >= table[bucket, 0] else table[bucket, 1]


@njit(cache=True)
def _search(acc, line, table, target):
    count, first, start = line[PARAMETER], line[PARAMETER + 1], line[TABLE_START]
    for b in range(acc.shape[0]):
        left, right = 0, count
        while left < right:
            middle = (left + right) // 2
            if acc[b] >= table[start + middle, 0]:
                left = middle + 1
            else:
                right = middle
        target[b] = first + left


@njit(cache=True)
def _finish(acc, line, table, target):
    kind = line[KIND]
    if kind == ROUND:
        _round(acc, line, target)
    elif kind == SCALE:
        _scale(acc, line, target)
    elif kind == TABLE:
        _table(acc, line, table, target)
    elif kind == SEARCH:
        _search(acc, line, table, target)
    else:
        _store(acc, target)


@njit(cache=True)
def _multiply(left, right, target):
    for b in range(target.shape[0]):
        target[b] = left[b] * right[b]


@njit(cache=True)
def _product(line, narrow, wide, acc):
    """``acc = left * right``"""
    left, right = line[LEFT], line[RIGHT]
    if line[LEFT_WIDE] and line[RIGHT_WIDE]:
        _multiply(wide[left], wide[right], acc)
    elif line[LEFT_WIDE]:
        _multiply(wide[left], narrow[right], acc)
    elif line[RIGHT_WIDE]:
        _multiply(narrow[left], wide[right], acc)
    else:
        _multiply(narrow[left], narrow[right], acc)


@njit(cache=True)
def _pair(line, narrow, acc):
    """One complex mode in place: two sums of (re, im, input), each rounded; ``acc`` lends its type."""
    integer = acc.dtype.type
    bits = acc.itemsize * 8 - 1
    r, i, u = line[RE], line[IM], line[INPUT]
    re_re, re_im, re_u = np.int16(line[RE_WEIGHTS]), np.int16(line[RE_WEIGHTS + 1]), np.int16(line[RE_WEIGHTS + 2])
    im_re, im_im, im_u = np.int16(line[IM_WEIGHTS]), np.int16(line[IM_WEIGHTS + 1]), np.int16(line[IM_WEIGHTS + 2])
    re_start, im_start = integer(line[RE_WEIGHTS + 3]), integer(line[IM_WEIGHTS + 3])
    re_shift, re_add, re_odd = line[RE_ROUND] & bits, integer(line[RE_ROUND + 1]), integer(line[RE_ROUND + 2])
    im_shift, im_add, im_odd = line[IM_ROUND] & bits, integer(line[IM_ROUND + 1]), integer(line[IM_ROUND + 2])
    re_first, re_last = integer(line[RE_ROUND + 3]), integer(line[RE_ROUND + 4])
    im_first, im_last = integer(line[IM_ROUND + 3]), integer(line[IM_ROUND + 4])
    for b in range(narrow.shape[1]):
        re, im, x = narrow[r, b], narrow[i, b], narrow[u, b]
        s = integer(re_start + re_re * re + re_im * im + re_u * x)
        s = integer(integer(s + re_add + (integer(s >> re_shift) & re_odd)) >> re_shift)
        narrow[r, b] = min(max(s, re_first), re_last)
        s = integer(im_start + im_re * re + im_im * im + im_u * x)
        s = integer(integer(s + im_add + (integer(s >> im_shift) & im_odd)) >> im_shift)
        narrow[i, b] = min(max(s, im_first), im_last)


@njit(cache=True)
def _operations(rows, term_row, narrow_weight, wide_weight, table, narrow, wide, acc):
    for r in range(rows.shape[0]):
        line = rows[r]
        kind = line[KIND]
        if kind == PAIR:
            _pair(line, narrow, acc)
            continue
        if kind == PRODUCT:
            _product(line, narrow, wide, acc)
        else:
            _sum(acc, line, narrow, wide, term_row, narrow_weight, wide_weight)
        if line[OUT_WIDE]:
            _finish(acc, line, table, wide[line[OUT]])
        else:
            _finish(acc, line, table, narrow[line[OUT]])


@njit(parallel=True, cache=True)
def run(codes, u_row, loop, tail, term_row, narrow_weight, wide_weight, table, narrow_copies, wide_copies, shape,
        kept_narrow, kept_wide, logits_rows, logits, traced, trace):  # fmt: skip
    """All steps of ``codes`` uint8 ``(B, T)``; fills ``logits`` int64 ``(B, classes)``.

    ``loop`` operations run every step and ``tail`` ones after the last. ``*_copies`` ``(n, 2)`` are (next row, state
    row) after each step. ``shape`` = (narrow rows, wide rows, lanes a tile). ``kept_*`` ``(tiles, rows, lanes)`` carry
    the states; with no tiles they are made anew, zero. ``traced`` ``(n, 2)`` (row, wide) fills ``trace`` ``(B, T, n)``.
    """
    batch, length = codes.shape
    lanes = shape[2]
    for tile in prange((batch + lanes - 1) // lanes):
        integer = wide_weight.dtype
        if kept_narrow.shape[0]:
            narrow, wide = kept_narrow[tile], kept_wide[tile]
        else:
            narrow = np.zeros((shape[0], lanes), np.int16)
            wide = np.zeros((shape[1], lanes), integer)
        acc = np.zeros(lanes, integer)
        start = tile * lanes
        count = min(lanes, batch - start)
        for t in range(length):
            for b in range(count):
                narrow[u_row, b] = codes[start + b, t]
            _operations(loop, term_row, narrow_weight, wide_weight, table, narrow, wide, acc)
            for j in range(traced.shape[0]):
                row = traced[j, 0]
                for b in range(count):
                    trace[start + b, t, j] = wide[row, b] if traced[j, 1] else narrow[row, b]
            for j in range(narrow_copies.shape[0]):
                narrow[narrow_copies[j, 1]] = narrow[narrow_copies[j, 0]]
            for j in range(wide_copies.shape[0]):
                wide[wide_copies[j, 1]] = wide[wide_copies[j, 0]]
        _operations(tail, term_row, narrow_weight, wide_weight, table, narrow, wide, acc)
        for j in range(logits_rows.shape[0]):
            row = logits_rows[j, 0]
            for b in range(count):
                logits[start + b, j] = wide[row, b] if logits_rows[j, 1] else narrow[row, b]
