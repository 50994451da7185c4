"""The basis of an equalised layer: B̄ a power of two, all of the state's range used, and nothing else changed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from conftest import part, small_codes, small_config, small_model, ssms
from ssmq_brevitas.model import Model
from ssmq_brevitas.post_training import post_training
from ssmq_brevitas.train import grid_ranges, optimiser_for

WIDE = dict.fromkeys(("a", "c", "d", "x", "u", "y", "activation", "linear", "encoder", "decoder", "pool"), 16)


@pytest.mark.parametrize("parameterisation", ["discrete", "continuous", "log_polar"])
@pytest.mark.parametrize("granularity", ["tensor", "head"])
def test_the_input_weight_is_a_shift_and_every_state_uses_its_range(parameterisation, granularity):
    scheme = {"parameterisation": parameterisation, "granularity": granularity}
    _, model = small_model(small_config(scheme=scheme, bits=WIDE | {"a_phase": 16, "a_magnitude": 16}))
    codes = small_codes(16, seed=1)  # those of the calibration
    for layer in ssms(model):
        grid = layer.parameters_on_grid()
        assert not grid.b_im.any()
        assert np.array_equal(np.frexp(grid.b_re.numpy())[0], np.full(grid.b_re.shape, 0.5))
        kept = []
        layer.register_forward_pre_hook(lambda _, inputs, kept=kept: kept.append(inputs[0]))
        with torch.no_grad():
            model(codes)
            _, *states = layer.trace(kept[0])
        codes_of = torch.stack(states).abs().amax(dim=(0, 1, 2))  # (H N)
        # The larger of a state's parts peaks in (1/2, 1]; turning the basis makes of it at least 1 / √2, at most √2 times.
        # One per cent for what 16 bits round.
        peaks = codes_of.numpy() * np.ldexp(1.0, layer.state.format.exponent)
        assert peaks.min() > 0.99 * 0.5 / np.sqrt(2) and peaks.max() < 1.01 * np.sqrt(2)
        # The state's exponent is the least that holds the largest of those that share it.
        shared = codes_of.amax(dim=1) if granularity == "head" else codes_of.amax()
        assert shared.min() > 0.99 * 2**14


@pytest.mark.parametrize("equalise", [True, False])
def test_a_change_of_basis_changes_no_logit(equalise):
    """What the logits are wrong by is rounding: six bits more in every tensor take it down some 64 times."""
    errors = []
    for bits in (10, 16):
        widths = dict.fromkeys((*WIDE, "b"), bits) | {"bias": 24}
        floating, model = small_model(small_config(scheme={"equalise": equalise}, bits=widths))
        with torch.no_grad():
            codes = small_codes(16, seed=1)  # those of the calibration: nothing saturates
            errors.append(float((model(codes) - floating.double()(codes)).abs().max()))
    assert 0 < errors[1] < errors[0] / 16


def test_a_head_that_never_moves_takes_no_range_from_the_others():
    torch.manual_seed(0)
    config = small_config(model={"layers": 1})
    floating = Model.floating(config).eval()
    found = []
    for dead in (False, True):
        if dead:
            with torch.no_grad():
                floating.network.encoder.weight[0], floating.network.encoder.bias[0] = 0, 0
        model = post_training(floating, config, small_codes(16))
        found.append(part(model, "blocks.0.ssm").b_quant.format.exponent[:, :, 0])
    alive, dead = found
    assert np.array_equal(alive[1:], dead[1:]) and dead[0].max() <= dead[1:].min()


def test_steps_are_relative_to_grids_and_the_input_weight_of_an_equalised_layer_rests():
    """Adam's step has the size of the rate: the same share of every grid's range."""
    config = small_config(model={"norm": "batch"}, scheme={"parameterisation": "log_polar"})
    _, model = small_model(config)
    optimiser = optimiser_for(model, config.train.qat)
    rates = {id(p): group["lr"] for group in optimiser.param_groups for p in group["params"]}
    ssm, qat = part(model, "blocks.0.ssm"), config.train.qat
    assert id(ssm.b) not in rates
    largest = 2.0 ** (ssm.c_quant.bits - 1 + int(ssm.c_quant.format.exponent))
    assert rates[id(ssm.c)] == pytest.approx(qat.learning_rate * largest)
    weight = model.network.decoder.weight_format
    assert rates[id(model.network.decoder.weight)] == pytest.approx(
        qat.learning_rate * 2.0 ** (weight.bits - 1 + int(weight.exponent))
    )
    assert rates[id(part(model, "blocks.0.norm").bias)] == qat.learning_rate
    assert rates[id(ssm.a.phase)] == qat.learning_rate_a
    floating, _ = small_model(config)
    assert grid_ranges(floating) == {}
