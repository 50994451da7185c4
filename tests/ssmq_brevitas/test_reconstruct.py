"""Post-training reconstruction: closer to the float model, on the same grids, the same every time."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from conftest import part, small_codes, small_config, small_model, ssms
from ssmq_brevitas.post_training import fitted


def error(model, floating, codes) -> float:
    with torch.no_grad():
        return float((model(codes).double() - floating(codes).double()).square().mean())


@pytest.mark.parametrize("norm", ["none", "batch"])
@pytest.mark.parametrize("granularity", ["tensor", "head"])
def test_a_coarse_model_comes_closer_on_sequences_it_was_not_fitted_to(norm, granularity):
    config = small_config(model={"norm": norm}, scheme={"granularity": granularity}, bits={"x": 5, "a": 10})
    floating, model = small_model(config)
    found = fitted(copy.deepcopy(model), floating, small_codes(256, seed=2))
    unseen = small_codes(64, seed=3)
    assert error(found, floating, unseen) < 0.8 * error(model, floating, unseen)


def test_widths_and_the_recurrence_stay_and_all_engines_agree():
    config = small_config(bits={"x": 5, "c": 5, "decoder": 5})
    floating, model = small_model(config)
    found = fitted(copy.deepcopy(model), floating, small_codes(64, seed=2))
    for before, after in zip(ssms(model), ssms(found), strict=True):
        kept, new = before.parameters_on_grid(), after.parameters_on_grid()
        assert all(torch.equal(getattr(kept, name), getattr(new, name)) for name in ("a_re", "a_im", "b_re", "b_im"))
        codes = new.c_re.detach().numpy() / np.ldexp(1.0, after.c_quant.format.exponent)
        assert np.array_equal(codes, np.rint(codes)) and np.abs(codes).max() <= 16
    unseen = small_codes(8, seed=3)
    fused = found(unseen)
    found.use_engine("reference")
    assert torch.equal(found(unseen), fused)


def test_the_same_sequences_give_the_same_model():
    floating, model = small_model(small_config(bits={"x": 5}))
    twice = [fitted(copy.deepcopy(model), floating, small_codes(64, seed=2)) for _ in range(2)]
    assert all(torch.equal(a, b) for a, b in zip(twice[0].parameters(), twice[1].parameters(), strict=True))


def test_a_head_that_never_moves_keeps_its_read_out():
    floating, model = small_model(small_config(model={"layers": 1}))
    with torch.no_grad():
        model.network.encoder.weight[1], model.network.encoder.bias[1] = 0, 0
    before = part(model, "blocks.0.ssm").c.detach().clone()
    after = part(fitted(model, floating, small_codes(16)), "blocks.0.ssm").c
    assert torch.equal(after[1], before[1]) and not torch.equal(after[0], before[0])
