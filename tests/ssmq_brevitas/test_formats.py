"""Formats: rounding, saturation and the choice of exponents."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
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
def test_brevitas_quantisers_agree_with_the_format(bits, signed, exponent, seed):
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
