"""Learning rates: their course over a training, and which parameters have one of their own."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from conftest import LENGTH, small_config, small_model
from hypothesis import given
from hypothesis import strategies as st
from ssmq_brevitas.config import Training
from ssmq_brevitas.data import SequenceData
from ssmq_brevitas.train import grid_ranges, optimiser_for, schedule, train


def test_five_per_cent_of_warm_up_then_half_a_cosine():
    """100 and one steps: five of warm-up, 96 of the cosine, a quarter of which is 24."""
    found = [schedule(step, 101) for step in range(101)]
    assert found[:6] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0, 1.0])
    assert found[5 + 24] == pytest.approx(0.5 + math.sqrt(0.125))
    assert found[5 + 48] == pytest.approx(0.5)
    assert found[5 + 72] == pytest.approx(0.5 - math.sqrt(0.125))
    assert found[100] == pytest.approx(math.sin(math.pi / 2 / 96) ** 2)


@given(st.integers(1, 3000))
def test_it_rises_to_one_and_falls_towards_zero(steps):
    found = [schedule(step, steps) for step in range(steps)]
    warm_up = max(1, round(steps / 20))
    assert max(found) == 1 == found[warm_up - 1] and min(found) > 0
    assert all(a < b for a, b in zip(found[: warm_up - 1], found[1:warm_up], strict=True))
    assert all(a >= b for a, b in zip(found[warm_up - 1 :], found[warm_up:], strict=False))
    assert schedule(steps, steps) == pytest.approx(0, abs=1e-12) or steps == 1


OWN = {
    "float": {"log_dt", "log_a_re", "a_im"},
    "discrete": {"a_re", "a_im"},
    "continuous": {"log_dt", "log_a_re", "a_im"},
    "frozen": set(),
    "polar": {"magnitude", "phase"},
    "log_polar": {"log_decay", "phase"},
}
TRAINING = Training(epochs=1, batch=4, learning_rate=2e-3, learning_rate_a=3e-5, weight_decay=0.25, clip=1e3)


def built(kind: str):
    scheme = {} if kind == "float" else {"parameterisation": kind, "granularity": "head"}
    floating, quantized = small_model(small_config(model={"norm": "batch"}, scheme=scheme))
    return floating if kind == "float" else quantized


@pytest.mark.parametrize("kind", OWN)
@pytest.mark.parametrize("made", [built, lambda kind: copy.deepcopy(built(kind))], ids=["made", "copied"])
def test_the_dynamics_have_a_rate_of_their_own_and_no_decay(kind, made):
    model = made(kind)
    groups = optimiser_for(model, TRAINING).param_groups
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    grouped = [names[id(parameter)] for group in groups for parameter in group["params"]]
    assert sorted(grouped) == sorted(name for name, p in model.named_parameters() if p.requires_grad)
    # Only the dynamics go without decay, and none has another rate.
    own = [group for group in groups if group["weight_decay"] == 0]
    assert {group["lr"] for group in own} <= {3e-5}
    assert {names[id(p)].rsplit(".", 1)[-1] for group in own for p in group["params"]} == OWN[kind]
    ranges = grid_ranges(model)
    assert (kind == "float") == (not ranges)
    for group in groups:
        for parameter in group["params"] if group["weight_decay"] else []:
            assert group["weight_decay"] == 0.25
            assert group["lr"] == pytest.approx(2e-3 * ranges.get(names[id(parameter)], 1.0))


@pytest.mark.parametrize("kind", ["float", "polar"])
def test_a_training_steps_by_rate_times_schedule(kind):
    """Adam's first step is the rate, whatever the gradient's size; of 40 steps the first has half the rate."""
    x = torch.randint(0, 256, (160, LENGTH), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    data = SequenceData(
        "noise", "made here", x, torch.arange(160) % 3, x[:4], torch.zeros(4).long(), x[:4], torch.zeros(4).long()
    )
    model = built(kind)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}

    def stop(progress):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(model, data, TRAINING.model_copy(update={"weight_decay": 0.0}), on_step=stop)
    ranges = grid_ranges(model)
    checked = 0
    for name, parameter in model.named_parameters():
        moved = float((parameter.detach() - before[name]).abs().max())
        rate = 3e-5 if name.rsplit(".", 1)[-1] in OWN[kind] else 2e-3 * ranges.get(name, 1.0)
        if parameter.requires_grad and moved:
            assert moved == pytest.approx(rate / 2, rel=0.02), name
            checked += 1
    assert checked > 10
