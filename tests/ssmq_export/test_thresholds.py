"""Compiled rows of thresholds equal their definition over the whole range, however close to a shift or a line they are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ssmq_export.dataflow.rows import ROUND, SCALE, SEARCH, TABLE, TABLE_ENTRIES, Row, compile_row, evaluate


def assert_equal(thresholds, bias=0, low=None, high=None) -> Row:
    thresholds = np.asarray(thresholds)
    low = int(thresholds.min()) - 9 if low is None else low
    high = int(thresholds.max()) + 9 if high is None else high
    row = compile_row(thresholds, bias, low, high)
    codes = np.arange(low, high + 1)
    expected = bias + np.searchsorted(thresholds, codes, side="right")
    assert np.array_equal(evaluate(row, codes), expected), row
    assert (row.low, row.high) == (expected.min(), expected.max())
    return row


def rounding(levels: np.ndarray, shift: int, even: bool = True) -> np.ndarray:
    """Where each level starts when codes are divided by ``2**shift``: by hand, the first code that rounds to it."""
    half = (1 << shift) // 2
    return (levels << shift) - half + (levels % 2 if even and shift else 0)


LEVELS = np.arange(-7, 8)


@pytest.mark.parametrize("shift", range(1, 7))
def test_half_to_even_is_a_shift(shift):
    row = assert_equal(rounding(LEVELS, shift), -8)
    assert (row.kind, row.numbers[0], row.numbers[2]) == (ROUND, shift, 1)
    codes = np.arange(-300, 300)
    assert np.array_equal(evaluate(row, codes), np.clip(np.rint(codes / 2.0**shift), -8, 7))


@pytest.mark.parametrize("shift", range(0, 7))
def test_half_up_is_another_shift(shift):
    row = assert_equal(rounding(LEVELS, shift, even=False), -8)
    assert (row.kind, row.numbers[0], row.numbers[2]) == (ROUND, shift, 0)


@pytest.mark.parametrize("place", range(len(LEVELS)))
@pytest.mark.parametrize("by", [-1, 1])
@pytest.mark.parametrize("even", [True, False])
def test_one_level_that_is_off_by_one_is_no_rounding(place, by, even):
    thresholds = rounding(LEVELS, 5, even)
    thresholds[place] += by
    assert assert_equal(thresholds, -8).kind != ROUND


@pytest.mark.parametrize("bias", [-9, -8, -7, 0, 3])
def test_levels_of_another_parity_round_to_even_after_a_move(bias):
    """Ties go to even codes of the row, wherever the row begins: an odd offset is half to odd of the codes."""
    row = assert_equal(rounding(LEVELS, 4), bias)
    assert row.kind == (ROUND if bias % 2 == 0 else row.kind)


def test_ties_to_odd_are_exact_all_the_same():
    thresholds = (LEVELS << 4) - 8 + (1 - LEVELS % 2)
    assert_equal(thresholds, -8)


@pytest.mark.parametrize("count", range(1, 6))
@pytest.mark.parametrize("shift", [0, 1, 3])
def test_few_levels(count, shift):
    for first in (-2, 0, 1):
        for even in (True, False):
            levels = np.arange(first + 1, first + 1 + count)
            assert_equal(rounding(levels, shift, even), first)
            assert_equal(rounding(levels, shift, even) + 3, first)


def test_thresholds_out_of_range_say_nothing():
    rows = rounding(np.arange(-127, 128), 4)
    row = assert_equal(rows, -128, -40, 35)
    assert (row.low, row.high) == (-2, 2) and row.kind == ROUND
    # Ends of the range: a threshold at the lowest code has been passed, one past the highest is never reached.
    assert assert_equal([5, 6, 9], 0, 5, 8).low == 1
    assert assert_equal([5, 6, 9], 0, 4, 9).low == 0
    assert [assert_equal([5], 3, low, high).numbers for low, high in ((5, 9), (0, 4))] == [(0, 0, 0, 4, 4), (0, 0, 0, 3, 3)]


LINE = np.array([k * 37 // 3 for k in range(40)])


def test_a_line_is_a_multiplication():
    row = assert_equal(LINE, -20)
    assert row.kind == SCALE and row.numbers[2] < 2**31
    assert assert_equal(np.sort(-LINE), 5).kind == SCALE
    assert assert_equal([k * 37001 // 3 for k in range(40)], 0, 0, 600_000).kind == SCALE


def test_equal_and_skipped_levels_are_a_line_too():
    assert_equal([0, 0, 0, 5, 5, 5, 10, 10, 10], -1)
    assert_equal(np.repeat(np.arange(20), 3), 7)


@pytest.mark.parametrize("place", [0, 1, 17, 38, 39])
@pytest.mark.parametrize("by", [-3, -1, 1, 3])
def test_a_line_that_is_off_at_one_level_is_exact(place, by):
    thresholds = LINE.copy()
    thresholds[place] += by
    assert_equal(np.sort(thresholds), -20)


def test_curves_are_tables_and_what_is_too_wide_is_searched():
    curve = np.array([k**3 // 50 for k in range(-30, 31)])
    assert assert_equal(curve, -30).kind == TABLE
    near = np.array([0, 1, 3, 2 * TABLE_ENTRIES])
    row = compile_row(near, 4, -10, 4 * TABLE_ENTRIES)
    codes = np.array([-10, -1, 0, 1, 2, 3, 4, 2 * TABLE_ENTRIES - 1, 2 * TABLE_ENTRIES, 4 * TABLE_ENTRIES])
    assert row.kind == SEARCH
    assert evaluate(row, codes).tolist() == [4, 4, 5, 6, 6, 7, 7, 7, 8, 8]


def test_a_table_is_as_large_as_it_may_be():
    """Two neighbours make buckets of one code; their number decides."""
    for last, kind in ((TABLE_ENTRIES - 2, TABLE), (TABLE_ENTRIES - 1, SEARCH)):
        thresholds = np.array([0, 1, 3, 50, last])
        row = compile_row(thresholds, 0, -1, last + 5)
        assert row.kind == kind
        codes = np.array([-1, 0, 1, 2, 3, 49, 50, last - 1, last, last + 5])
        assert evaluate(row, codes).tolist() == np.searchsorted(thresholds, codes, side="right").tolist()


@settings(max_examples=200)
@given(st.lists(st.integers(-60, 60), min_size=1, max_size=24), st.integers(-9, 9), st.integers(-90, 60), st.integers(0, 150))
def test_any_row_over_its_whole_range(thresholds, bias, low, size):
    assert_equal(np.sort(thresholds), bias, low, low + size)


@settings(max_examples=200)
@given(st.integers(0, 5), st.booleans(), st.integers(-20, 20), st.integers(3, 12), st.integers(-70, 70), st.data())
def test_any_row_next_to_a_rounding(shift, even, first, count, offset, data):
    thresholds = rounding(np.arange(first + 1, first + 1 + count), shift, even) + offset
    place, by = data.draw(st.integers(0, count - 1)), data.draw(st.integers(-1, 1))
    thresholds[place] += by
    assert_equal(np.sort(thresholds), first)


@pytest.mark.parametrize("factor", [2**40, 2**56])
def test_far_thresholds_do_not_overflow(factor):
    for thresholds in (LEVELS * factor, LEVELS * factor + 1):
        row = compile_row(thresholds, -8, int(thresholds[0]) - 2, int(thresholds[-1]) + 2)
        codes = np.concatenate([thresholds - 1, thresholds, thresholds + 1])
        expected = -8 + np.searchsorted(thresholds, codes, side="right")
        assert np.array_equal(evaluate(row, codes), expected)
