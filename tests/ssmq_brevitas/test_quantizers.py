"""The one-kernel quantiser is Brevitas' quantiser, in codes and in gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from ssmq_brevitas.errors import SsmqError
from ssmq_brevitas.fake_quantize import on_any_device
from ssmq_brevitas.quantizers import PowerOfTwoScale, Quantizer


@given(
    bits=st.integers(2, 16),
    signed=st.booleans(),
    exponent=st.integers(-12, 4),
    shape=st.lists(st.integers(1, 7), min_size=1, max_size=3),
    double=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_fused_equals_brevitas(bits, signed, exponent, shape, double, seed):
    quantizer = Quantizer(bits, signed)
    quantizer.power.set_exponent(exponent)
    rng = np.random.default_rng(seed)
    # Quarters of a code over twice the range: every fourth value is a tie, half of them saturate.
    codes = rng.integers(-(2 ** (bits + 2)), 2 ** (bits + 2), shape) / 4
    x = torch.from_numpy(np.ldexp(codes, exponent)).to(torch.float64 if double else torch.float32)
    weight = torch.from_numpy(rng.standard_normal(shape)).to(x.dtype)
    found = []
    for engine in ("reference", "fused"):
        quantizer.engine = engine
        leaf = x.clone().requires_grad_()
        y = quantizer.to(x.dtype)(leaf)
        found.append((y.detach(), *torch.autograd.grad(y, leaf, weight)))
    leaf = x.clone().requires_grad_()
    y = on_any_device(leaf, quantizer.power.scale, quantizer.format.low, quantizer.format.high)  # what a GPU runs
    found.append((y.detach(), *torch.autograd.grad(y, leaf, weight)))
    for expected, *results in zip(*found, strict=True):
        assert all(result.dtype == x.dtype and torch.equal(result, expected) for result in results)


def test_values_far_outside_saturate():
    quantizer = Quantizer(8)
    x = torch.tensor([3e38, -3e38, 2.0**23, 2.0**22 + 1, -(2.0**24), 0.5, 1.5, -0.5])
    assert quantizer(x).tolist() == [127, -128, 127, 127, -128, 0, 2, 0]


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), 0.0, -0.5, 0.3])
def test_a_scale_that_is_no_power_of_two_has_no_exponent(wrong):
    power = PowerOfTwoScale((2, 1))
    power.scale[1] = wrong
    with pytest.raises(SsmqError, match=f"a scale must be a power of two, not {wrong}"):
        _ = power.exponent


@pytest.mark.parametrize("wrong", [0.5, float("nan"), 128, -127, np.array([[0.0], [1.0]]), True])
def test_a_scale_is_not_set_to_nonsense(wrong):
    power = PowerOfTwoScale((2, 1))
    with pytest.raises(SsmqError, match="an exponent must be a whole number from -126 to 127"):
        power.set_exponent(wrong)
    assert torch.equal(power.scale, torch.ones(2, 1))
    for exponent in (-126, 127):
        power.set_exponent(exponent)
        assert power.exponent.tolist() == [[exponent]] * 2
