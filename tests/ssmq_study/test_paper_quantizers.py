"""The paper's quantisers: their grids, their ranges, and the recurrence they stand in."""

from __future__ import annotations

import pytest
import torch
from conftest import small_codes, small_config, small_model
from ssmq_brevitas.s4d import S4D
from ssmq_study.paper_quantizers import PaperQuantization, PaperS4D, paper_ptq, quantize, quantize_parameter


def spec(component: str = "all", bits: int = 8, **changes) -> PaperQuantization:
    return PaperQuantization(component=component, bits=bits, **changes)


def test_what_is_not_quantized_stays_as_it_was():
    torch.manual_seed(0)
    s4d, u = S4D(4, 5), torch.randn(3, 30, 4)
    s4d.mode = "recurrence"
    torch.testing.assert_close(PaperS4D(s4d, None, spec("activations"))(u), s4d(u), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("bits", [2, 4])
def test_asymmetric_grids_use_every_code_of_a_one_sided_range(bits):
    values = torch.linspace(0, 3, 500)
    codes = quantize(values, values.min(), values.max(), spec(bits=bits))
    assert len(codes.unique()) == 2**bits and codes.min() == 0 and torch.isclose(codes.max(), torch.tensor(3.0))
    symmetric = quantize(values, values.min(), values.max(), spec(bits=bits, symmetric=True))
    assert len(symmetric.unique()) == 2 ** (bits - 1)
    assert (codes - values).abs().max() < (symmetric - values).abs().max()


def test_a_head_has_its_own_range():
    values = torch.stack([torch.linspace(-1, 1, 100), torch.linspace(-100, 100, 100)])
    own, shared = (quantize_parameter(values, spec(bits=4, granularity=kind)) for kind in ("head", "tensor"))
    assert (own[0] - values[0]).abs().max() <= 1 / 15 + 1e-6
    assert not shared[0].any()


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("granularity", ["head", "tensor"])
def test_dynamic_ranges_belong_to_one_sequence(granularity, symmetric):
    floating, _ = small_model(small_config())
    model = paper_ptq(floating, small_codes(), spec(bits=5, dynamic=True, granularity=granularity, symmetric=symmetric))
    codes = small_codes(seed=5)
    torch.testing.assert_close(model(codes)[3:6], model(codes[3:6]))


@pytest.mark.parametrize("granularity", ["head", "tensor"])
@pytest.mark.parametrize("dynamic", [False, True])
def test_wide_states_are_right_and_narrow_ones_are_not(dynamic, granularity):
    """The kernel's ranges: in 16 bits nothing is lost; a range or scale gone wrong would lose everything."""
    floating, _ = small_model(small_config())
    codes = small_codes()
    with torch.no_grad():
        expected = floating(codes)
        errors = [
            (paper_ptq(floating, codes, spec("x", bits, dynamic=dynamic, granularity=granularity))(codes) - expected)
            .abs()
            .max()
            for bits in (16, 3)
        ]
    assert errors[0] < 2e-3 * expected.abs().max() < errors[1]


def test_the_model_itself_is_left_alone():
    floating, _ = small_model(small_config())
    before = {name: value.clone() for name, value in floating.state_dict().items()}
    paper_ptq(floating, small_codes(), spec(bits=2))
    assert all(torch.equal(value, before[name]) for name, value in floating.state_dict().items())
