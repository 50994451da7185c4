"""Thresholds as one line a channel: found where there is one, equal to the thresholds at every code."""

from __future__ import annotations

import numpy as np
from bench import counting, span
from hypothesis import given
from hypothesis import strategies as st
from ssmq_export.dataflow.rows import first_inputs
from ssmq_export.rtl.affine import line_of


def every_code(operation):
    ((low, high),) = operation.sources
    codes = np.arange(low.min(), high.max() + 1)[:, None]
    return np.clip(codes, low, high)


def assert_equal_everywhere(operation, line):
    codes = every_code(operation)
    np.testing.assert_array_equal(line.evaluate(codes), operation.evaluate(codes))


@given(
    factors=st.lists(st.integers(0, 40), min_size=1, max_size=4),
    offsets=st.lists(st.integers(-900, 900), min_size=4, max_size=4),
    shift=st.integers(0, 7),
    ends=st.tuples(st.integers(-300, 0), st.integers(1, 300)),
    low=st.integers(-9, 0),
    levels=st.integers(1, 30),
)
def test_thresholds_of_a_line_are_a_line(factors, offsets, shift, ends, low, levels):
    """Made from lines, so that there is one; with thresholds that no code reaches, and that all do."""
    outputs = np.arange(low + 1, low + levels + 1)
    reached = first_inputs(outputs, shift, True)
    rows = []
    for factor, offset in zip(factors, offsets, strict=False):
        sums = factor * np.arange(ends[0], ends[1] + 1) + offset
        rows.append(ends[0] + np.searchsorted(sums, reached))
    thresholds = np.array(rows)
    operation = counting("y", "x", span(len(factors), *ends), thresholds, low)
    line = line_of(operation)
    assert line is not None and line.shift <= shift
    assert_equal_everywhere(operation, line)


@given(st.lists(st.integers(-40, 40), min_size=1, max_size=12).map(sorted), st.integers(-5, 5))
def test_what_is_no_line_is_never_taken_for_one(thresholds, bias):
    operation = counting("y", "x", span(1, -40, 40), np.array([thresholds]), bias)
    line = line_of(operation)
    if line is not None:
        assert_equal_everywhere(operation, line)


def test_a_curve_is_no_line():
    operation = counting("y", "x", span(1, -40, 40), np.array([[-30, -1, 0, 1, 30]]), 0)
    assert line_of(operation) is None


def test_equal_channels_share_their_numbers():
    thresholds = first_inputs(np.arange(-3, 4), 4, True)[None]
    line = line_of(counting("y", "x", span(3, -100, 100), thresholds, -4))
    assert (line.shift, line.factor.tolist(), line.offset.tolist()) == (4, [1, 1, 1], [0, 0, 0])
