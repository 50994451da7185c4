"""The quantised model as a whole: engines agree, wide formats give the float model, bounds hold."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from conftest import LENGTH, part, small_codes, small_config, small_model, sums
from ssmq_brevitas.errors import SsmqError
from ssmq_brevitas.model import Model
from ssmq_brevitas.network.structure import settle
from ssmq_brevitas.norm import PositiveBatchNorm

BLOCKS = {
    "paper": {"norm": "none", "activation": "hard_gelu", "gate": "hard_sigmoid"},
    "paper-soft": {"norm": "none", "activation": "gelu", "gate": "sigmoid"},
    "edge": {"norm": "batch", "activation": "relu", "gate": "hard_sigmoid"},
    "plain": {"norm": "batch", "activation": "relu", "gate": "none"},
}


def by_engine(model, codes, engine):
    model.use_engine(engine)
    with torch.no_grad():
        return model(codes)


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("parameterisation", ["discrete", "continuous", "frozen", "polar", "log_polar"])
@pytest.mark.parametrize("granularity", ["tensor", "head"])
def test_fused_model_equals_the_brevitas_loop(block, parameterisation, granularity):
    scheme = {"parameterisation": parameterisation, "granularity": granularity}
    _, model = small_model(small_config(model=BLOCKS[block], scheme=scheme))
    codes = small_codes(6, seed=5)
    state, quantizer = (
        part(model, "blocks.0.ssm").state,
        part(model, "blocks.0.activation_quant"),
    )
    calls = {module: [] for module in (state, quantizer)}
    for module in calls:  # Brevitas' own quantiser inside
        module.act_quant.register_forward_hook(lambda *_, module=module: calls[module].append(1))
    logits = by_engine(model, codes, "fused")
    assert not any(calls.values())
    assert torch.equal(logits, by_engine(model, codes, "reference"))
    assert len(calls[state]) == 2 * LENGTH and len(calls[quantizer]) == 1
    assert len(torch.unique(logits)) > 10  # not all saturated or dead


WIDE = dict.fromkeys(("b", "c", "d", "u", "y", "activation", "linear", "encoder", "decoder", "pool"), 14)


@pytest.mark.parametrize("block", ["paper", "edge", "plain"])
@pytest.mark.parametrize("equalise", [True, False])
def test_wide_formats_reproduce_the_float_model(block, equalise):
    bits = {**WIDE, "a": 20, "x": 20, "bias": 24}
    config = small_config(model=BLOCKS[block], scheme={"equalise": equalise}, bits=bits)
    floating, model = small_model(config)
    codes = small_codes(16, seed=1)  # the calibration's own images: nothing saturates
    with torch.no_grad():
        expected, found = floating(codes), model(codes)
    assert found.dtype == torch.float64
    assert torch.allclose(found.float(), expected, atol=0.02 * expected.abs().max())


@pytest.mark.parametrize("block", ["paper", "edge"])
def test_accumulators_stay_within_the_computed_widths(block):
    _, model = small_model(small_config(model=BLOCKS[block]))
    widths = sums(model)
    seen = {}
    part(model, "blocks.0.ssm").register_forward_hook(lambda m, args, out: seen.__setitem__("blocks.0.ssm", out))
    by_engine(model, small_codes(16, seed=2), "fused")
    ssm, u = part(model, "blocks.0.ssm"), model.network.encoder_quant.format
    grid = min(int((ssm.c_quant.format.exponent + ssm.state.format.exponent).min()) + 1,
               int((ssm.d_quant.format.exponent + u.exponent).min()))  # fmt: skip
    codes = seen["blocks.0.ssm"].double().numpy() / 2.0**grid
    assert np.array_equal(codes, np.rint(codes))  # the exact sum lies on the grid that the bound assumes
    assert np.abs(codes).max() < 2 ** (widths["blocks.0.ssm"] - 1)


def test_precision_follows_the_accumulators():
    assert small_model(small_config())[1].network.decoder.weight.dtype == torch.float32
    assert small_model(small_config(bits={"a": 16, "x": 16}))[1].network.decoder.weight.dtype == torch.float64


def test_a_scheme_past_float64_is_refused_by_name():
    with pytest.raises(SsmqError, match="accumulator of blocks.0.ssm needs 54 bits, more than the 53"):
        Model.empty(small_config(bits={"c": 24, "x": 24}, model={"modes": 64}))
    # Narrow enough by its widths, too wide once the exponents are known.
    config = small_config(bits={"a": 24, "x": 24, "c": 20, "d": 24, "u": 16}, scheme={"granularity": "head"})
    model = small_model(config)[1]
    part(model, "blocks.1.ssm").b_quant.power.set_exponent(-60)
    with pytest.raises(SsmqError, match="accumulator of blocks.1.ssm.x needs"):
        settle(model.network)


def test_equalised_states_share_one_range():
    """The point of equalisation: with a state of few bits, no mode is lost below the rounding."""
    _, plain = small_model(small_config(scheme={"equalise": False}))
    _, equalised = small_model(small_config(scheme={"equalise": True}))
    codes = small_codes(16, seed=1)
    spreads = []
    for model in (plain, equalised):
        with torch.no_grad():
            u = model.network.encoder_quant(model.network.encoder(model.network.u_quant(codes.float()[..., None] / 256)))
            _, re, im = part(model, "blocks.0.ssm").trace(u)
        largest = torch.maximum(re.abs(), im.abs()).amax(dim=(0, 1)).double()
        spreads.append(float(largest.max() / largest.min().clamp(min=1)))
    assert spreads[1] < 4 < spreads[0]


def test_a_dead_channels_gain_leaves_the_others_their_places():
    """Of 16 heads a few may never move; their variance is 0 and their gain 1 / sqrt(eps)."""
    norm = PositiveBatchNorm(4)
    with torch.no_grad():
        norm.variance.copy_(torch.tensor([0.0, 1.0, 40.0, 1400.0]))
        norm.mean.copy_(torch.tensor([0.0, 0.3, -5.0, 20.0]))
    exact = norm.gain_and_offset()
    norm.bits = 8
    for stored, wanted in zip(norm.gain_and_offset(), exact, strict=True):
        assert torch.allclose(stored, wanted, rtol=2**-7, atol=0)


def test_a_frozen_batch_norm_trains_what_is_stored():
    """It gives in training what it gives in evaluation, keeps its statistics, and its gain and offset have gradients."""
    torch.manual_seed(0)
    norm = PositiveBatchNorm(4, bits=4)
    y = torch.randn(3, 5, 4) * 2 + 1
    norm.train()(y)
    kept, evaluated = norm.mean.clone(), norm.eval()(y)
    norm.train().frozen = True
    trained = norm(y)
    trained.square().sum().backward()
    assert torch.equal(trained, evaluated) and torch.equal(norm.mean, kept)
    assert norm.weight.grad.abs().min() > 0 and norm.bias.grad.abs().min() > 0
