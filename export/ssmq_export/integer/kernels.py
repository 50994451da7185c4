"""The program's interpreter: every row of every step of one tile of sequences, integers only, vectorised over them.

Stored rows are ``narrow`` int16 ``(rows, size)``, which halves their memory, and ``wide`` int32 or int64, the type of
the accumulators; ``rows`` int64 holds one operation a line, its columns named below. Scalars are read into locals
before a loop over them, or every iteration would load them again. Helpers are inlined by numba: a call would count
references to every array, atomically, with the threads fighting over the counters.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange
from ssmq_jit import kernel

from ..dataflow.rows import ROUND, SCALE, SEARCH, TABLE
from .machine import add, both, multiply, shift_right, subtract

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


@njit(inline="always")
def _add8(acc, narrow, row, weight, j):
    integer = acc.dtype.type
    i0, i1, i2, i3 = row[j], row[j + 1], row[j + 2], row[j + 3]
    i4, i5, i6, i7 = row[j + 4], row[j + 5], row[j + 6], row[j + 7]
    w0, w1, w2, w3 = integer(weight[j]), integer(weight[j + 1]), integer(weight[j + 2]), integer(weight[j + 3])
    w4, w5, w6, w7 = integer(weight[j + 4]), integer(weight[j + 5]), integer(weight[j + 6]), integer(weight[j + 7])
    for b in range(acc.shape[0]):
        s = add(multiply(w0, narrow[i0, b]), multiply(w1, narrow[i1, b]))
        s = add(s, add(multiply(w2, narrow[i2, b]), multiply(w3, narrow[i3, b])))
        s = add(s, add(multiply(w4, narrow[i4, b]), multiply(w5, narrow[i5, b])))
        s = add(s, add(multiply(w6, narrow[i6, b]), multiply(w7, narrow[i7, b])))
        acc[b] = add(acc[b], s)


@njit(inline="always")
def _add2(acc, narrow, row, weight, j):
    integer = acc.dtype.type
    i0, i1 = row[j], row[j + 1]
    w0, w1 = integer(weight[j]), integer(weight[j + 1])
    for b in range(acc.shape[0]):
        acc[b] = add(acc[b], add(multiply(w0, narrow[i0, b]), multiply(w1, narrow[i1, b])))


@njit(inline="always")
def _add1(acc, source, row, weight, j):
    i, w = row[j], acc.dtype.type(weight[j])
    for b in range(acc.shape[0]):
        acc[b] = add(acc[b], multiply(w, source[i, b]))


@njit(inline="always")
def _sum(acc, rows, r, narrow, wide, term_row, narrow_weight, wide_weight):
    """``acc = constant + sum of the operation's terms``."""
    start = acc.dtype.type(rows[r, CONSTANT])
    for b in range(acc.shape[0]):
        acc[b] = start
    j, stop = rows[r, NARROW], rows[r, NARROW + 1]
    while j + 8 <= stop:
        _add8(acc, narrow, term_row, narrow_weight, j)
        j += 8
    while j + 2 <= stop:
        _add2(acc, narrow, term_row, narrow_weight, j)
        j += 2
    if j < stop:
        _add1(acc, narrow, term_row, narrow_weight, j)
    for j in range(rows[r, MIXED], rows[r, MIXED + 1]):
        _add1(acc, narrow, term_row, wide_weight, j)
    for j in range(rows[r, WIDE], rows[r, WIDE + 1]):
        _add1(acc, wide, term_row, wide_weight, j)


@njit(inline="always")
def _store(acc, target, out):
    for b in range(acc.shape[0]):
        target[out, b] = acc[b]


@njit(inline="always")
def rounded(s, shift, half, odd):
    """Half to even if ``odd`` is 1, down if it and ``half`` are 0; see ``thresholds.Row``."""
    return shift_right(add(add(s, half), both(shift_right(s, shift), odd)), shift)


@njit(inline="always")
def _round(acc, rows, r, target, out):
    integer = acc.dtype.type
    bits = acc.itemsize * 8 - 1
    # Masked, so that LLVM knows that the shift stays inside the accumulator's type.
    shift = integer(rows[r, PARAMETER] & bits)
    half, odd = integer(rows[r, PARAMETER + 1]), integer(rows[r, PARAMETER + 2])
    first, last = integer(rows[r, PARAMETER + 3]), integer(rows[r, PARAMETER + 4])
    for b in range(acc.shape[0]):
        target[out, b] = min(max(rounded(acc[b], shift, half, odd), first), last)


@njit(inline="always")
def _scale(acc, rows, r, target, out):
    integer = acc.dtype.type
    base, top = integer(rows[r, PARAMETER]), integer(rows[r, PARAMETER + 1])
    multiplier, offset = np.uint64(np.uint32(rows[r, PARAMETER + 2])), np.uint64(rows[r, PARAMETER + 3])
    shift, first = np.uint64(rows[r, PARAMETER + 4] & 63), rows[r, PARAMETER + 5]
    for b in range(acc.shape[0]):
        s = min(max(acc[b], base), top)
        distance = np.uint64(np.uint32(subtract(s, base)))
        target[out, b] = np.int64((distance * multiplier + offset) >> shift) + first


@njit(inline="always")
def _table(acc, rows, r, table, target, out):
    integer = acc.dtype.type
    base, top = integer(rows[r, PARAMETER]), integer(rows[r, PARAMETER + 1])
    shift, start = rows[r, PARAMETER + 2], rows[r, TABLE_START]
    for b in range(acc.shape[0]):
        s = min(max(acc[b], base), top)
        bucket = start + ((s - base) >> shift)
        target[out, b] = table[bucket, 2] if s >= table[bucket, 0] else table[bucket, 1]


@njit(inline="always")
def _search(acc, rows, r, table, target, out):
    count, first, start = rows[r, PARAMETER], rows[r, PARAMETER + 1], rows[r, TABLE_START]
    for b in range(acc.shape[0]):
        left, right = 0, count
        while left < right:
            middle = (left + right) // 2
            if acc[b] >= table[start + middle, 0]:
                left = middle + 1
            else:
                right = middle
        target[out, b] = first + left


@njit(inline="always")
def _finish(acc, rows, r, table, target, out):
    kind = rows[r, KIND]
    if kind == ROUND:
        _round(acc, rows, r, target, out)
    elif kind == SCALE:
        _scale(acc, rows, r, target, out)
    elif kind == TABLE:
        _table(acc, rows, r, table, target, out)
    elif kind == SEARCH:
        _search(acc, rows, r, table, target, out)
    else:
        _store(acc, target, out)


@njit(inline="always")
def _multiply(left, i, right, j, acc):
    integer = acc.dtype.type
    for b in range(acc.shape[0]):
        acc[b] = multiply(integer(left[i, b]), right[j, b])


@njit(inline="always")
def _product(acc, rows, r, narrow, wide):
    """``acc = left * right``"""
    left, right = rows[r, LEFT], rows[r, RIGHT]
    if rows[r, LEFT_WIDE] and rows[r, RIGHT_WIDE]:
        _multiply(wide, left, wide, right, acc)
    elif rows[r, LEFT_WIDE]:
        _multiply(wide, left, narrow, right, acc)
    elif rows[r, RIGHT_WIDE]:
        _multiply(narrow, left, wide, right, acc)
    else:
        _multiply(narrow, left, narrow, right, acc)


@njit(inline="always")
def _pair(acc, rows, r, narrow):
    """One complex mode in place: two sums of (re, im, input), each rounded; ``acc`` lends its type."""
    integer = acc.dtype.type
    bits = acc.itemsize * 8 - 1
    p, q, u = rows[r, RE], rows[r, IM], rows[r, INPUT]
    re_re, re_im = integer(rows[r, RE_WEIGHTS]), integer(rows[r, RE_WEIGHTS + 1])
    im_re, im_im = integer(rows[r, IM_WEIGHTS]), integer(rows[r, IM_WEIGHTS + 1])
    re_u, im_u = integer(rows[r, RE_WEIGHTS + 2]), integer(rows[r, IM_WEIGHTS + 2])
    re_start, im_start = integer(rows[r, RE_WEIGHTS + 3]), integer(rows[r, IM_WEIGHTS + 3])
    re_shift, im_shift = integer(rows[r, RE_ROUND] & bits), integer(rows[r, IM_ROUND] & bits)
    re_half, im_half = integer(rows[r, RE_ROUND + 1]), integer(rows[r, IM_ROUND + 1])
    re_odd, im_odd = integer(rows[r, RE_ROUND + 2]), integer(rows[r, IM_ROUND + 2])
    re_first, im_first = integer(rows[r, RE_ROUND + 3]), integer(rows[r, IM_ROUND + 3])
    re_last, im_last = integer(rows[r, RE_ROUND + 4]), integer(rows[r, IM_ROUND + 4])
    for b in range(narrow.shape[1]):
        re, im, x = narrow[p, b], narrow[q, b], narrow[u, b]
        s = add(add(multiply(re_re, re), multiply(re_im, im)), add(multiply(re_u, x), re_start))
        t = add(add(multiply(im_re, re), multiply(im_im, im)), add(multiply(im_u, x), im_start))
        narrow[p, b] = min(max(rounded(s, re_shift, re_half, re_odd), re_first), re_last)
        narrow[q, b] = min(max(rounded(t, im_shift, im_half, im_odd), im_first), im_last)


@njit(inline="always")
def _operation(rows, r, term_row, narrow_weight, wide_weight, table, narrow, wide, acc):
    kind = rows[r, KIND]
    if kind == PAIR:
        _pair(acc, rows, r, narrow)
    else:
        if kind == PRODUCT:
            _product(acc, rows, r, narrow, wide)
        else:
            _sum(acc, rows, r, narrow, wide, term_row, narrow_weight, wide_weight)
        if rows[r, OUT_WIDE]:
            _finish(acc, rows, r, table, wide, rows[r, OUT])
        else:
            _finish(acc, rows, r, table, narrow, rows[r, OUT])


@kernel(parallel=True)
def run(codes, given, rows, every, term_row, narrow_weight, wide_weight, table, narrow_copies, wide_copies, shape,
        kept_narrow, kept_wide, output_rows, output, traced, trace):  # fmt: skip
    """All steps of integer ``codes`` ``(B, T, C)``; fills ``output`` int64 ``(B, S, channels)``, of the last S steps.

    The input channels are the rows from the one in ``given`` (row, wide) on. The first ``every`` operations run
    every step, the others in those that fill ``output``. ``*_copies`` ``(n, 2)`` are (next
    row, state row) after each step. ``shape`` = (narrow rows, wide rows, sequences a tile). ``kept_*`` ``(tiles, rows,
    sequences)`` carry the states; with no tiles they are made anew, zero. ``traced`` ``(n, 2)`` (row, wide) fills ``trace``
    ``(B, T, n)``.
    """
    batch, length, channels = codes.shape
    size, first = shape[2], length - output.shape[1]
    for tile in prange((batch + size - 1) // size):
        integer = wide_weight.dtype
        if kept_narrow.shape[0]:
            narrow, wide = kept_narrow[tile], kept_wide[tile]
        else:
            narrow = np.zeros((shape[0], size), np.int16)
            wide = np.zeros((shape[1], size), integer)
        acc = np.zeros(size, integer)
        start = tile * size
        count = min(size, batch - start)
        for t in range(length):
            for c in range(channels):
                row = given[0] + c
                if given[1]:
                    for b in range(count):
                        wide[row, b] = codes[start + b, t, c]
                else:
                    for b in range(count):
                        narrow[row, b] = codes[start + b, t, c]
            for r in range(every if t < first else rows.shape[0]):
                _operation(rows, r, term_row, narrow_weight, wide_weight, table, narrow, wide, acc)
            for j in range(traced.shape[0]):
                row = traced[j, 0]
                for b in range(count):
                    trace[start + b, t, j] = wide[row, b] if traced[j, 1] else narrow[row, b]
            if t >= first:
                for j in range(output_rows.shape[0]):
                    row = output_rows[j, 0]
                    for b in range(count):
                        output[start + b, t - first, j] = wide[row, b] if output_rows[j, 1] else narrow[row, b]
            for j in range(narrow_copies.shape[0]):
                for b in range(size):
                    narrow[narrow_copies[j, 1], b] = narrow[narrow_copies[j, 0], b]
            for j in range(wide_copies.shape[0]):
                for b in range(size):
                    wide[wide_copies[j, 1], b] = wide[wide_copies[j, 0], b]
