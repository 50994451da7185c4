"""The GPU kernels equal the definition on every code and in their gradients: on a GPU, or in Triton's interpreter."""

from __future__ import annotations

from unittest.mock import patch

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from ssmq_brevitas.quantizers import Quantizer
from ssmq_brevitas.scan import diagonal_scan
from ssmq_brevitas.scan.reference import reference_scan
from test_scan import NAMES, problems

pytest.importorskip("triton", reason="pip install triton")
from ssmq_brevitas.scan import triton as kernels

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"

# The product's tile, and small ones that make several programs of a small batch and several columns of a few modes.
TILES = [{"ROWS": kernels.ROWS, "THREADS": kernels.THREADS}, {"ROWS": 1, "THREADS": 4}, {"ROWS": 2, "THREADS": 2}]


@st.composite
def small_problems(draw):
    """``problems``, with fewer and shorter sequences: the interpreter is slow."""
    values, state, rng = draw(problems(ties=draw(st.booleans())))
    batch, length = draw(st.integers(1, 5)), draw(st.integers(1, 12))
    return {**values, "u": values["u"][:batch, :length].contiguous()}, state, rng


def kernel_arguments(values: dict[str, torch.Tensor], state: Quantizer):
    """u, parameters in units of codes, and limits."""
    scale = state.power.scale
    units = {"b_re": 1 / scale, "b_im": 1 / scale, "c_re": 2 * scale, "c_im": 2 * scale}
    u, *parameters = [(values[name] * units.get(name, 1)).contiguous().to(DEVICE) for name in NAMES]
    return u, tuple(parameters), (-(2.0 ** (state.bits - 1)), 2.0 ** (state.bits - 1) - 1)


@settings(max_examples=15)
@given(small_problems(), st.sampled_from(TILES))
def test_codes_equal_the_reference(problem, tile):
    values, state, _ = problem
    y, re, im = reference_scan(**values, state_quant=state, return_states=True)
    arguments = kernel_arguments(values, state)
    with patch.multiple(kernels, **tile):
        traced, codes_re, codes_im = kernels.trace(*arguments)
        plain, saved = kernels.forward(*arguments, keep=False)
    assert saved is None and not codes_re.is_floating_point()
    scale = state.power.scale
    assert torch.equal(codes_re.cpu().to(re.dtype) * scale, re)
    assert torch.equal(codes_im.cpu().to(im.dtype) * scale, im)
    assert torch.equal(traced.cpu(), y)
    assert torch.equal(plain.cpu(), y)


@settings(max_examples=15)
@given(small_problems(), st.sampled_from(TILES))
def test_gradients_equal_autograd_of_the_reference(problem, tile):
    values, state, rng = problem
    state = state.double()
    leaves = {name: value.double().requires_grad_() for name, value in values.items()}
    y = reference_scan(**leaves, state_quant=state)
    weight = torch.from_numpy(rng.standard_normal(y.shape))
    expected = torch.autograd.grad((y * weight).sum(), list(leaves.values()))

    arguments = kernel_arguments({name: value.detach() for name, value in leaves.items()}, state)
    with patch.multiple(kernels, **tile):
        found_y, saved = kernels.forward(*arguments, keep=True)
        gu, gradients, gd = kernels.backward(*arguments, saved, weight.to(DEVICE))
    assert torch.equal(found_y.cpu(), y)
    scale = state.power.scale
    units = (1, 1, 1 / scale, 1 / scale, 2 * scale, 2 * scale)
    found = [gu.cpu(), *(value * unit for value, unit in zip(gradients.cpu(), units, strict=True)), gd.cpu()]
    for name, wanted, value in zip(NAMES, expected, found, strict=True):
        assert torch.allclose(value, wanted, rtol=1e-9, atol=1e-9 * (1 + wanted.abs().max())), name


def test_float32_gradients_are_float64_gradients_to_rounding_and_repeat():
    torch.manual_seed(0)
    values = [torch.randint(-15, 16, shape) / 16.0 for shape in [(3, 20, 2), *[(2, 3)] * 6, (2,)]]
    weight = torch.randn(3, 20, 2)
    found = []
    for dtype in (torch.float32, torch.float32, torch.float64):
        u, *parameters = [value.to(DEVICE, dtype) for value in values]
        _, saved = kernels.forward(u, tuple(parameters), (-32.0, 31.0), keep=True)
        found.append(kernels.backward(u, tuple(parameters), (-32.0, 31.0), saved, weight.to(DEVICE, dtype)))
    for first, second, wide in zip(*found, strict=True):
        assert torch.equal(first, second)
        assert (first - wide).norm() <= 1e-5 * wide.norm()


if DEVICE == "cuda":

    @pytest.mark.parametrize("bits", [4, 8])
    def test_codes_equal_the_cpu_kernel(bits):
        torch.manual_seed(1)
        heads, modes = 16, 8
        names = dict(zip(NAMES[1:], [(heads, modes)] * 6 + [(heads,)], strict=True))
        values = {name: torch.randint(-15, 16, shape) / 16.0 for name, shape in names.items()}
        values["u"] = torch.randint(-64, 65, (70, 200, heads)) / 8.0
        state = Quantizer(bits, True)
        state.power.set_exponent(0)
        expected = diagonal_scan(**values, state_scale=state.power.scale, state_bits=bits, return_codes=True)
        for found, wanted in zip(kernels.trace(*kernel_arguments(values, state)), expected, strict=True):
            assert torch.equal(found.cpu().to(wanted.dtype), wanted)
