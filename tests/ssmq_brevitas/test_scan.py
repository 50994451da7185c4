"""The fused recurrence equals its definition on every code, and in its gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from ssmq_brevitas.quantizers import Quantizer
from ssmq_brevitas.s4d import S4D
from ssmq_brevitas.scan import cpu, diagonal_scan
from ssmq_brevitas.scan.kernels import SPAN
from ssmq_brevitas.scan.reference import reference_scan

NAMES = ("u", "a_re", "a_im", "b_re", "b_im", "c_re", "c_im", "d")


@st.composite
def problems(draw, ties: bool):
    """Parameters and inputs on power-of-two grids, and a state quantiser with one scale, one a head or one a mode."""
    batch, length = draw(st.integers(1, 9)), draw(st.one_of(st.integers(1, 30), st.integers(SPAN - 1, 2 * SPAN + 1)))
    heads, modes = draw(st.sampled_from([1, 2, 3, 16])), draw(st.integers(1, 6))
    bits = draw(st.integers(2, 16))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    dtype = torch.float32 if bits <= 8 else torch.float64

    def grid(exponent, limit, *shape):
        return torch.from_numpy(np.ldexp(rng.integers(-limit, limit + 1, shape).astype(float), exponent)).to(dtype)

    # With ties the parameters have one fractional bit and the scale is 1, so that half of all sums end in .5.
    a_bits = 1 if ties else draw(st.integers(1, 7))
    state = Quantizer(bits, True, draw(st.sampled_from([(), (heads, 1), (heads, modes)])))
    state.power.set_exponent(0 if ties else rng.integers(-4, 3, state.power.scale.shape or None))
    values = [grid(-1 if ties else -3, 2 ** draw(st.integers(1, 6)), batch, length, heads)]
    values += [grid(-a_bits, 2**a_bits, heads, modes) for _ in range(2)]
    values += [grid(0 if ties else -5, 15, heads, modes) for _ in range(2)]
    values += [grid(-4, 15, heads, modes) for _ in range(2)]
    values += [grid(-2, 7, heads)]
    return dict(zip(NAMES, values, strict=True)), state.to(dtype), rng


@settings(max_examples=60)
@given(st.booleans().flatmap(lambda ties: problems(ties)))
def test_codes_equal_the_reference(problem):
    values, state, _ = problem
    y, re, im = reference_scan(**values, state_quant=state, return_states=True)
    scale = state.power.scale
    fused, codes_re, codes_im = diagonal_scan(**values, state_scale=scale, state_bits=state.bits, return_codes=True)
    assert torch.equal(codes_re.to(re.dtype) * scale, re)
    assert torch.equal(codes_im.to(im.dtype) * scale, im)
    assert torch.equal(fused, y)
    assert torch.equal(diagonal_scan(**values, state_scale=scale, state_bits=state.bits), y)


@settings(max_examples=40)
@given(st.booleans().flatmap(lambda ties: problems(ties)))
def test_gradients_equal_autograd_of_the_reference(problem):
    values, state, rng = problem
    weight = torch.from_numpy(rng.standard_normal(values["u"].shape))
    gradients = []
    for run in ("reference", "fused"):
        leaves = {name: value.double().requires_grad_() for name, value in values.items()}
        state = state.double()
        if run == "reference":
            y = reference_scan(**leaves, state_quant=state)
        else:
            y = diagonal_scan(**leaves, state_scale=state.power.scale, state_bits=state.bits)
        gradients.append(torch.autograd.grad((y * weight).sum(), list(leaves.values())))
    for name, expected, found in zip(NAMES, *gradients, strict=True):
        assert torch.allclose(found, expected, rtol=1e-9, atol=1e-9 * (1 + expected.abs().max())), name


def test_float32_gradients_are_float64_gradients_to_rounding():
    rng = np.random.default_rng(3)
    shapes = [(8, 60, 3), *[(3, 5)] * 6, (3,)]
    values = [torch.from_numpy(rng.integers(-15, 16, shape) / 16.0) for shape in shapes]
    weight = torch.from_numpy(rng.standard_normal(shapes[0]))
    found = []
    for dtype in (torch.float32, torch.float64):
        leaves = [value.to(dtype).requires_grad_() for value in values]
        y = diagonal_scan(*leaves, torch.tensor(0.25, dtype=dtype), 6)
        found.append(torch.autograd.grad((y * weight.to(dtype)).sum(), leaves))
    for name, narrow, wide in zip(NAMES, *found, strict=True):
        assert (narrow - wide).norm() <= 1e-5 * wide.norm(), name


def test_saturation_and_ties_are_really_hit():
    """One mode, by hand: 0.5 + 0.5 ties, 2-bit codes -2 .. 1 saturate."""
    one = torch.ones(1, 1)
    u = torch.tensor([0.5, 1.5, 1.5, -0.5, -1.5, -2.5, -9.0])[None, :, None]
    zero = torch.zeros(1, 1)
    _, re, _ = diagonal_scan(u, zero, zero, one, zero, one, zero, torch.zeros(1), torch.tensor(1.0), 2, return_codes=True)
    assert re.flatten().tolist() == [0, 1, 1, 0, -2, -2, -2]


def test_recurrence_equals_convolution():
    torch.manual_seed(0)
    layer = S4D(4, 6)
    u = torch.randn(3, 50, 4)
    by_convolution = layer(u)
    layer.mode = "recurrence"
    assert torch.allclose(layer(u), by_convolution, atol=2e-5)


def test_fused_recurrence_with_a_fine_state_is_the_float_layer():
    torch.manual_seed(1)
    layer = S4D(3, 4).double()
    u = torch.randn(2, 40, 3, dtype=torch.float64)
    a, b, c = layer.discrete()
    scale = torch.tensor(2.0**-20, dtype=torch.float64)
    y = diagonal_scan(u, a.real, a.imag, b.real, b.imag, c.real, c.imag, layer.d, scale, 24)
    assert torch.allclose(y, layer(u), atol=1e-3)


def test_same_call_twice_gives_the_same_bits():
    torch.manual_seed(2)
    values = [torch.randn(16, 30, 4), *[torch.rand(4, 3) * 0.7 for _ in range(6)], torch.rand(4)]
    results = []
    for _ in range(2):
        leaves = [value.clone().requires_grad_() for value in values]
        y = diagonal_scan(*leaves, torch.tensor(0.125), 8)
        results.append([y.detach(), *torch.autograd.grad(y.square().sum(), leaves)])
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


@pytest.mark.parametrize("trained, mode, kept", [(True, torch.enable_grad, True), (True, torch.no_grad, False),
                                                 (False, torch.enable_grad, False)])  # fmt: skip
def test_states_are_kept_for_a_backward_pass_that_comes_and_for_no_other(monkeypatch, trained, mode, kept):
    """Evaluation runs trained parameters with gradients switched off. What the backend hands back is listened to."""
    heard, forward = [], cpu.forward
    monkeypatch.setattr(cpu, "forward", lambda *arguments: heard.append(forward(*arguments)) or heard[-1])
    parameters = [torch.full((1, 1), 0.5, requires_grad=trained) for _ in range(6)]
    with mode():
        y = diagonal_scan(torch.ones(2, 5, 1), *parameters, torch.ones(1), torch.tensor(0.25), 8)
    ((_, saved),) = heard
    assert (saved is not None) == y.requires_grad == kept
