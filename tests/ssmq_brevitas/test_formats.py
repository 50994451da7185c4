"""Formats: rounding, saturation and the choice of exponents."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from ssmq_brevitas.errors import SsmqError
from ssmq_brevitas.formats import Format, fit_exponent
from ssmq_brevitas.quantizers import ParameterQuantizer, Quantizer


def half_even(value: Fraction) -> int:
    """Python's own round of a Fraction: half to even."""
    return round(value)


@given(st.integers(2, 16), st.booleans(), st.integers(-12, 6), st.integers(-(2**20), 2**20), st.integers(0, 3))
def test_codes_round_half_to_even_then_saturate(bits, signed, exponent, numerator, extra):
    value = Fraction(numerator) * Fraction(2) ** (exponent - extra)
    fmt = Format(bits, signed, np.int64(exponent))
    expected = min(max(half_even(value / Fraction(2) ** exponent), fmt.low), fmt.high)
    assert fmt.codes(np.array(float(value))) == expected


@given(st.integers(2, 10), st.booleans(), st.integers(-8, 4), st.integers(0, 2**32 - 1))
def test_brevitas_quantizers_agree_with_the_format(bits, signed, exponent, seed):
    rng = np.random.default_rng(seed)
    # Quarter steps around the range: a quarter of all values are ties, some saturate.
    values = np.ldexp(rng.integers(-(2 ** (bits + 3)), 2 ** (bits + 3), 64) / 4.0, exponent)
    modules = [Quantizer(bits, signed)] + ([ParameterQuantizer(bits)] if signed else [])
    for module in modules:
        module.power.set_exponent(exponent)
        fmt = module.format
        assert fmt.bits == bits and fmt.exponent == exponent
        found = module(torch.from_numpy(values).float()).detach().numpy()
        assert np.array_equal(found, fmt.values(fmt.codes(values)))


@given(st.integers(2, 10), st.integers(0, 2**32 - 1), st.floats(1e-3, 1e3))
def test_fitted_exponents(bits, seed, size):
    groups = np.random.default_rng(seed).standard_normal((3, 200)) * size * np.array([[1], [8], [0]])

    def error(exponent):
        fmt = Format(bits, True, exponent[:, None])
        return np.square(fmt.values(fmt.codes(np.abs(groups))) - np.abs(groups)).mean(axis=1)

    covering = fit_exponent(groups, bits, True, "max")
    assert np.all(np.abs(groups).max(axis=1) <= np.ldexp(2 ** (bits - 1) - 1, covering))
    assert np.all(error(fit_exponent(groups, bits, True, "mse")) <= error(covering))


def test_covering_exponent_is_the_least():
    assert fit_exponent(np.array([[1.0, -7.0], [7.01, 0.0]]), 4, True, "max").tolist() == [0, 1]
    assert fit_exponent(np.array([[1.0, 15.0], [15.01, 0.0]]), 4, False, "max").tolist() == [0, 1]
    assert fit_exponent(np.array([[0.0], [2.0**-9]]), 1, False, "max").tolist() == [0, -9]


@pytest.mark.parametrize("bits", [1, 2, 3, 8, 16])
@pytest.mark.parametrize("signed", [True, False])
def test_a_format_has_as_many_codes_as_its_bits(bits, signed):
    """Counted in what comes out of format and Brevitas, an unsigned one bit too wide would have twice as many."""
    if signed and bits == 1:
        return
    fmt = Format(bits, signed, np.int64(0))
    values = np.arange(-(2.0**17), 2.0**17 + 1)
    wanted = np.arange(2**bits) - (2 ** (bits - 1) if signed else 0)
    assert np.array_equal(np.unique(fmt.codes(values)), wanted)
    assert (fmt.low, fmt.high, fmt.magnitude) == (wanted[0], wanted[-1], max(-wanted[0], wanted[-1]))
    quantizer = Quantizer(bits, signed)
    for quantizer.engine in ("fused", "reference"):
        assert np.array_equal(np.unique(quantizer(torch.from_numpy(values).float()).detach().numpy()), wanted)


@pytest.mark.parametrize("outliers, covered", [(2, False), (3, True)])
def test_the_percentile_leaves_out_what_lies_beyond_99_999_per_cent(outliers, covered):
    """Of 200,001 samples the 199,999th in order, so two outliers do not count and a third does; ``max`` takes all."""
    samples = np.full((1, 200_001), -1.0)
    samples[0, 5000 : 5000 + outliers] = 100.0
    assert fit_exponent(samples, 8, True, "max").tolist() == [0]  # 100 of 127
    assert fit_exponent(samples, 8, True, "percentile").tolist() == [0 if covered else -6]  # 1 of 127 / 64


NONSENSE = [
    (0, False, 0, "unsigned format's bits must be a whole number from 1 to 53, not 0"),
    (1, True, 0, "a signed format's bits must be a whole number from 2 to 53, not 1"),
    (-3, True, 0, "not -3"),
    (54, True, 0, "not 54"),
    (10**9, False, 0, "not 1000000000"),
    (8.0, True, 0, "not 8.0"),
    (True, False, 0, "not True"),
    ("8", True, 0, "not '8'"),
    (8, 2, 0, "signed must be True or False, not 2"),
    (8, True, 0.5, "an exponent must be a whole number from -126 to 127, not 0.5"),
    (8, True, 1.0, "not 1.0"),
    (8, True, float("nan"), "not nan"),
    (8, True, True, "not True"),
    (8, True, 128, "not 128"),
    (8, True, -127, "not -127"),
    (8, True, np.array([0, 2**40]), "an exponent must be"),
    (8, True, np.array([], np.int64), "an exponent must be"),
    (8, True, None, "not None"),
]


@pytest.mark.parametrize("bits, signed, exponent, message", NONSENSE)
def test_nonsense_is_no_format(bits, signed, exponent, message):
    with pytest.raises(SsmqError, match=message):
        Format(bits, signed, exponent)


def test_the_ends_of_what_a_format_may_be():
    for bits, signed, exponent in ((1, False, -126), (2, True, 127), (53, True, np.int32(0)), (np.int64(53), False, 0)):
        fmt = Format(bits, signed, exponent)
        assert fmt.values(fmt.codes(np.inf)) == np.ldexp(float(fmt.high), int(exponent))


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("rule", ["mse", "percentile", "max"])
def test_values_that_are_no_numbers_have_no_exponent(wrong, rule):
    with pytest.raises(SsmqError, match="values to be quantised must be finite numbers"):
        fit_exponent(np.array([[1.0, wrong]]), 8, True, rule)


def test_an_unknown_rule_is_refused():
    with pytest.raises(SsmqError, match="must be mse, percentile or max, not 'mean'"):
        fit_exponent(np.ones((1, 4)), 8, True, "mean")
