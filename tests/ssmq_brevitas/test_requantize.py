"""Staged lowering: what a scheme's change keeps and what it refuses."""

from __future__ import annotations

import pytest
import torch
from conftest import small_codes, small_config, small_model, ssms
from ssmq_brevitas.errors import SsmqError
from ssmq_brevitas.quantizers import ParameterQuantizer, Quantizer
from ssmq_brevitas.requantize import requantize

NARROW = {name: 4 for name in ("b", "c", "d", "x", "u", "activation", "linear", "encoder", "decoder")}


@pytest.mark.parametrize("parameterisation", ["discrete", "frozen", "continuous", "polar", "log_polar"])
def test_the_same_scheme_gives_the_same_codes(parameterisation):
    config = small_config(scheme={"parameterisation": parameterisation})
    _, model = small_model(config)
    assert torch.equal(requantize(model, config)(small_codes(3)), model(small_codes(3)))


def test_ranges_stay_and_last_places_go():
    config = small_config()
    _, model = small_model(config)
    narrow = requantize(model, small_config(bits=NARROW))
    old = dict(model.named_modules())
    ranged = [(n, m) for n, m in narrow.named_modules() if isinstance(m, (Quantizer, ParameterQuantizer))]
    changed = 0
    for name, module in ranged:
        before, after = old[name].format, module.format
        if not name.endswith(("b_quant", "d_quant")):
            assert (before.exponent + before.bits == after.exponent + after.bits).all(), name
        changed += before.bits != after.bits
    assert changed >= 8
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), narrow.parameters(), strict=True))


def test_a_frozen_a_is_unfrozen():
    frozen, free = (small_config(scheme={"parameterisation": name}) for name in ("frozen", "discrete"))
    _, model = small_model(frozen)
    thawed = requantize(model, free)
    assert all(parameter.requires_grad for layer in ssms(thawed) for parameter in layer.a.parameters())
    assert torch.equal(thawed(small_codes(3)), model(small_codes(3)))


@pytest.mark.parametrize("change", [{"parameterisation": "log_polar"}, {"granularity": "head"}, {"equalise": False}])
def test_another_grid_is_refused(change):
    config = small_config()
    _, model = small_model(config)
    with pytest.raises(SsmqError, match="start from the float model"):
        requantize(model, small_config(scheme=change))
