"""Integer types and ranges against enumeration."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ssmq_export.dataflow import grids
from ssmq_export.dataflow.datatype import integer_range, integer_type
from ssmq_export.dataflow.grids import Grid
from ssmq_export.errors import ExportError


@given(st.integers(-(2**50), 2**50), st.integers(0, 2**50))
def test_a_type_holds_its_range_and_one_bit_less_does_not(low, size):
    high = low + size
    name = integer_type(low, high)
    least, most = integer_range(name)
    assert least <= low and high <= most
    signed, bits = not name.startswith("U"), int(name.split("INT")[1])
    assert signed == (low < 0)
    if bits > (2 if signed else 1):
        least, most = integer_range(f"{'' if signed else 'U'}INT{bits - 1}")
        assert low < least or most < high, name


@pytest.mark.parametrize(
    ("low", "high", "name"),
    [(0, 0, "UINT1"), (0, 1, "UINT1"), (0, 2, "UINT2"), (0, 255, "UINT8"), (0, 256, "UINT9"), (3, 7, "UINT3"),
     (-1, 0, "INT2"), (-2, 1, "INT2"), (-3, 0, "INT3"), (-2, 2, "INT3"), (-128, 127, "INT8"), (-129, 0, "INT9"),
     (-1, 128, "INT9"), (-5, -3, "INT4")],
)  # fmt: skip
def test_types_at_their_edges(low, high, name):
    assert integer_type(low, high) == name


def test_a_grid_s_type_is_that_of_all_its_channels():
    grid = Grid(np.array([0, -5]), np.array([0, -3]), np.array([200, 1]))
    assert (grid.datatype, grid.channels) == ("INT9", 2)
    assert Grid(np.zeros(2, int), np.array([1, 0]), np.array([15, 16])).datatype == "UINT5"


def test_a_finer_grid_holds_the_same_values():
    grid = Grid(np.array([0, -2]), np.array([-3, 1]), np.array([5, 7]))
    finer = grid.shifted(np.array([-1, -4]))
    assert (finer.exponent.tolist(), finer.low.tolist(), finer.high.tolist()) == ([-1, -4], [-6, 4], [10, 28])


def test_uniform_is_the_same_in_every_channel():
    grid = grids.uniform(3, [-1, 0, 2], -4, 9)
    assert (grid.exponent.tolist(), grid.low.tolist(), grid.high.tolist()) == ([-1, 0, 2], [-4] * 3, [9] * 3)
    assert grids.uniform(2, 5, 0, 1).exponent.tolist() == [5, 5]


RANGE = st.tuples(st.integers(-6, 6), st.integers(0, 5)).map(lambda ends: (ends[0], ends[0] + ends[1]))


def of(*ends) -> Grid:
    return Grid(np.zeros(len(ends), int), *(np.array(side) for side in zip(*ends, strict=True)))


@given(RANGE, RANGE)
def test_products_and_sums_reach_their_ends(left, right):
    pairs = [(a, b) for a in range(left[0], left[1] + 1) for b in range(right[0], right[1] + 1)]
    for found, values in (
        (grids.product(of(left), of(right)), [a * b for a, b in pairs]),
        (grids.total(of(left), of(right), 1), [a + b for a, b in pairs]),
        (grids.total(of(left), of(right), -1), [a - b for a, b in pairs]),
    ):
        assert (found.low[0], found.high[0]) == (min(values), max(values))


def test_exponents_of_a_product_add_up():
    left, right = grids.uniform(2, [1, -3], 0, 1), grids.uniform(2, [4, 5], 0, 1)
    assert grids.product(left, right).exponent.tolist() == [5, 2]
    assert grids.total(left, left, 1).exponent.tolist() == grids.total(left, left, -1).exponent.tolist() == [1, -3]


@given(RANGE, RANGE, st.lists(st.integers(-5, 5), min_size=2, max_size=2))
def test_a_matrix_product_reaches_its_ends(left, right, weights):
    values = [a * weights[0] + b * weights[1] for a in left for b in right]
    found = grids.matmul(of(left, right), np.array(weights)[:, None], np.array([3]))
    assert (found.low[0], found.high[0], found.exponent[0]) == (min(values), max(values), 3)


def test_codes_past_62_bits_are_refused():
    """From 2**61 on, in one channel of several."""
    wide, one = Grid(np.zeros(2, int), np.array([0, -(2**31)]), np.array([1, 5])), np.array([0, 0])
    fine = -np.array([0, 29])
    assert wide.shifted(fine).low.tolist() == [0, -(2**60)]
    twice = Grid(np.zeros(2, int), np.array([0, 0]), np.array([1, 2**29]))
    assert grids.product(wide, twice).low.tolist() == [0, -(2**60)]
    assert grids.matmul(wide, np.array([[1], [2**29]]), one[:1]).low.tolist() == [-(2**60)]
    four = Grid(np.zeros(2, int), np.array([0, 0]), np.array([1, 2**30]))
    for refused in (
        lambda: wide.shifted(fine * 30 // 29),
        lambda: grids.product(wide, four),
        lambda: grids.product(four, wide),
        lambda: grids.matmul(wide, np.array([[1], [2**30]]), one[:1]),
        lambda: grids.matmul(wide, np.array([[1], [-(2**30)]]), one[:1]),
    ):
        with pytest.raises(ExportError, match="its codes need more than 62 bits: choose narrower formats"):
            refused()
