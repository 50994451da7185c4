"""Sparse affine forms equal dense NumPy, and their bounds are reached."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ssmq_export.dataflow import forms
from ssmq_export.dataflow.forms import Form
from ssmq_export.errors import ExportError

ROWS = 5
WEIGHTS = st.lists(st.integers(-3, 3), min_size=ROWS, max_size=ROWS)


def dense(form: Form, rows: np.ndarray) -> np.ndarray:
    found = form.constant.copy()
    for channel, row, weight in zip(form.channel, form.row, form.weight, strict=True):
        found[channel] += weight * rows[row]
    return found


def made(matrix, constant) -> Form:
    """The form of ``rows @ matrix + constant``, from the definition."""
    matrix = np.asarray(matrix)
    channel, row = np.nonzero(matrix.T)
    return Form(channel, row, matrix[row, channel], np.asarray(constant, np.int64))


def proper(form: Form) -> None:
    """Sorted by channel and row, no repeats, no zeros."""
    places = list(zip(form.channel.tolist(), form.row.tolist(), strict=True))
    assert places == sorted(set(places)) and np.all(form.weight != 0)


@st.composite
def any_form(draw, channels=None):
    channels = channels or draw(st.integers(1, 4))
    matrix = np.array(draw(st.lists(WEIGHTS, min_size=channels, max_size=channels))).T
    return made(matrix, draw(st.lists(st.integers(-9, 9), min_size=channels, max_size=channels)))


VALUES = np.array([3, -1, 7, 20, -5])


@given(any_form(), st.data())
def test_every_operation_is_that_of_dense_arrays(form, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    values, n = dense(form, VALUES), form.channels
    other = data.draw(any_form(n))
    factor, weight = rng.integers(-2, 3, n), rng.integers(-2, 3, (n, 3))
    for found, expected in (
        (forms.scaled(form, factor), values * factor),
        (forms.scaled(form, np.array([[-3]])), values * -3),
        (forms.moved(form, factor), values + factor),
        (forms.moved(form, np.array([4])), values + 4),
        (forms.total(form, other, 1), values + dense(other, VALUES)),
        (forms.total(form, other, -1), values - dense(other, VALUES)),
        (forms.total(form, form, -1), values * 0),
        (forms.matmul(form, weight), values @ weight),
    ):
        proper(found)
        assert dense(found, VALUES).tolist() == expected.tolist() and found.channels == len(expected)
    assert len(forms.total(form, form, -1).row) == 0 and len(forms.scaled(form, np.array([0])).row) == 0


@given(any_form(1), any_form(3))
def test_a_single_channel_broadcasts(one, several):
    for sign in (1, -1):
        for left, right in ((one, several), (several, one)):
            found = forms.total(left, right, sign)
            proper(found)
            assert dense(found, VALUES).tolist() == (dense(left, VALUES) + sign * dense(right, VALUES)).tolist()


def test_stored_rows_are_themselves():
    assert dense(forms.identity(2, 3), VALUES).tolist() == [7, 20, -5]


@given(any_form())
def test_starts_and_longest_count_terms(form):
    counts = [int(np.sum(form.channel == c)) for c in range(form.channels)]
    assert np.diff(form.starts).tolist() == counts and form.starts[0] == 0 and form.longest == max(counts)


@given(any_form(), st.lists(st.tuples(st.integers(-4, 4), st.integers(0, 4)), min_size=ROWS, max_size=ROWS))
def test_bounds_are_reached_and_not_passed(form, ends):
    low = np.array([first for first, _ in ends])
    high = low + [size for _, size in ends]
    lowest, highest = form.bounds(low, high, "t")
    for c in range(form.channels):
        weight = np.zeros(ROWS, int)
        weight[form.row[form.channel == c]] = form.weight[form.channel == c]
        assert highest[c] == form.constant[c] + sum(max(w * a, w * b) for w, a, b in zip(weight, low, high, strict=True))
        assert lowest[c] == form.constant[c] + sum(min(w * a, w * b) for w, a, b in zip(weight, low, high, strict=True))


def test_bounds_past_63_bits_are_refused_by_name():
    def bounds(weight, constant, low, high):
        return Form(np.zeros(1, int), np.zeros(1, int), np.array([weight]), np.array([constant])).bounds(
            np.array([low]), np.array([high]), "sum"
        )

    assert bounds(2**30, 0, 0, 2**31)[1] == 2**61
    assert bounds(1, 2**61, -5, 5)[0] == 2**61 - 5
    for case in ((2**31, 0, 0, 2**31), (2**31, 0, -(2**31), 0), (-(2**31), 0, 0, 2**31), (1, 2**62, 0, 0), (1, -(2**62), 0, 0)):
        with pytest.raises(ExportError, match="^sum: its sums need more than 63 bits"):
            bounds(*case)
    two = Form(np.zeros(2, int), np.arange(2), np.array([2**30, 2**30]), np.zeros(1, int))
    with pytest.raises(ExportError, match="63 bits"):
        two.bounds(np.array([0, 0]), np.array([2**31, 2**31]), "sum")
