"""The basis of an equalised layer: B̄ a power of two, all of the state's range used, and nothing else changed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from conftest import small_codes, small_config, small_model
from ssmq_brevitas.train import grid_ranges, optimiser_for

WIDE = dict.fromkeys(("a", "c", "d", "x", "u", "y", "activation", "linear", "encoder", "decoder", "pool"), 16)


@pytest.mark.parametrize("parameterisation", ["discrete", "continuous", "log_polar"])
@pytest.mark.parametrize("granularity", ["tensor", "head"])
def test_the_input_weight_is_a_shift_and_every_state_uses_its_range(parameterisation, granularity):
    scheme = {"parameterisation": parameterisation, "granularity": granularity}
    _, model = small_model(small_config(scheme=scheme, bits=WIDE | {"a_phase": 16, "a_magnitude": 16}))
    codes = small_codes(16, seed=1)  # those of the calibration
    for block in model.blocks:
        grid = block.ssm.parameters_on_grid()
        assert not grid["b_im"].any()
        assert np.array_equal(np.frexp(grid["b_re"].numpy())[0], np.full(grid["b_re"].shape, 0.5))
        kept = []
        block.ssm.register_forward_pre_hook(lambda _, inputs, kept=kept: kept.append(inputs[0]))
        with torch.no_grad():
            model(codes)
            _, *states = block.ssm.trace(kept[0])
        peaks = torch.stack(states).abs().amax(dim=(0, 1, 2)) / 2**15
        assert peaks.min() > 0.2 and (peaks > 0.45).float().mean() > 0.7


def test_a_change_of_basis_changes_no_logit():
    for equalise in (True, False):
        floating, model = small_model(small_config(scheme={"equalise": equalise}, bits=WIDE | {"b": 16}))
        with torch.no_grad():
            assert torch.allclose(model(small_codes(8)).float(), floating(small_codes(8)), atol=3e-3)


def test_steps_are_relative_to_grids_and_the_input_weight_of_an_equalised_layer_rests():
    """Adam's step has the size of the rate: the same share of every grid's range."""
    config = small_config(model={"norm": "batch"}, scheme={"parameterisation": "log_polar"})
    _, model = small_model(config)
    optimiser = optimiser_for(model, config.train.qat)
    rates = {id(p): group["lr"] for group in optimiser.param_groups for p in group["params"]}
    ssm, qat = model.blocks[0].ssm, config.train.qat
    assert id(ssm.b) not in rates
    largest = 2.0 ** (ssm.c_quant.bits - 1 + int(ssm.c_quant.format.exponent))
    assert rates[id(ssm.c)] == pytest.approx(qat.learning_rate * largest)
    weight = model.decoder.weight_format
    assert rates[id(model.decoder.weight)] == pytest.approx(qat.learning_rate * 2.0 ** (weight.bits - 1 + int(weight.exponent)))
    assert rates[id(model.blocks[0].norm.bias)] == qat.learning_rate
    assert rates[id(ssm.a.phase)] == qat.learning_rate_a
    floating, _ = small_model(config)
    assert grid_ranges(floating) == {}
