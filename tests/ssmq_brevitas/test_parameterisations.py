"""Parameterisations of Ā: grids, stability by construction, what is trained."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from conftest import small_config
from hypothesis import given, settings
from hypothesis import strategies as st
from ssmq_brevitas.errors import SsmqError
from ssmq_brevitas.parameterisations import PARAMETERISATIONS
from ssmq_brevitas.s4d import S4D

ALL = sorted(PARAMETERISATIONS)


def fitted(kind: str, bits: dict, seed: int = 0, granularity: str = "tensor"):
    torch.manual_seed(seed)
    layer = S4D(4, 6)
    scheme = small_config(scheme={"parameterisation": kind, "granularity": granularity}, bits=bits).scheme
    parameterisation = PARAMETERISATIONS[kind](4, 6, scheme)
    parameterisation.fit(layer)
    return layer, parameterisation


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("granularity", ["tensor", "head"])
def test_wide_grids_reproduce_the_float_layer(kind, granularity):
    layer, found = fitted(kind, {"a": 20, "a_magnitude": 16, "a_phase": 16}, granularity=granularity)
    a, _, _ = layer.discrete()
    re, im = found()
    assert torch.allclose(torch.complex(re, im), a, atol=2e-3 if kind == "polar" else 5e-4)


@pytest.mark.parametrize("kind", ALL)
def test_values_lie_on_the_cartesian_grid(kind):
    _, found = fitted(kind, {"a": 6})
    for part in found():
        codes = part.detach().numpy() / np.ldexp(1.0, found.format.exponent)
        assert np.array_equal(codes, np.rint(codes))
        assert codes.min() >= -32 and codes.max() <= 31


@settings(max_examples=80)
@given(
    st.sampled_from(["polar", "log_polar"]),
    st.integers(3, 10),
    st.integers(1, 8),
    st.integers(2, 10),
    st.integers(0, 2**31),
)
def test_polar_grids_stay_inside_the_unit_disk(kind, a, magnitude, phase, seed):
    _, found = fitted(kind, {"a": a, "a_magnitude": magnitude, "a_phase": phase}, seed)
    with torch.no_grad():
        # Wherever training drives the parameters, Ā stays inside.
        for parameter in found.parameters():
            parameter.add_(torch.randn_like(parameter) * 10)
    re, im = found()
    assert torch.all(re.double().square() + im.double().square() < 1)


@pytest.mark.parametrize("kind, parameter, most", [("polar", "magnitude", 2.0), ("log_polar", "log_decay", -30.0)])
def test_the_slowest_mode_at_half_a_turn_does_not_round_onto_the_circle(kind, parameter, most):
    """-0.998 is nearest to the code of -1, which is none of an open disk: the one before it is taken."""
    _, found = fitted(kind, {"a": 3, "a_magnitude": 8, "a_phase": 3})
    found.phase_power.set_exponent(-3)
    with torch.no_grad():
        getattr(found, parameter).fill_(most)
        found.phase.fill_(0.5)
    if kind == "log_polar":
        found.log_decay_range.copy_(torch.tensor([-9.0, 0.0]))
    re, im = found()
    assert set(re.flatten().tolist()) == {-0.75} and not im.any()


def test_polar_grids_have_as_many_values_as_their_codes():
    _, found = fitted("polar", {"a": 16, "a_magnitude": 1, "a_phase": 3})
    found.phase_power.set_exponent(-3)
    with torch.no_grad():
        found.magnitude.uniform_(0, 1)
        found.phase.uniform_(0, 1)
    re, im = found()
    magnitudes = torch.complex(re, im).abs().detach().numpy().round(3)
    assert set(magnitudes.ravel()) <= {0.25, 0.75}
    turns = torch.complex(re, im).angle().detach().numpy() / (2 * np.pi) * 8
    assert np.allclose(turns, np.rint(turns), atol=2e-3)
    assert found.stored_bits() == 4


@pytest.mark.parametrize("kind", ["polar", "log_polar"])
def test_a_slow_heads_phases_have_codes_of_their_own(kind):
    """Phases within 1/64 turn: 8 bits of a whole turn would leave four codes, 8 bits of the head's range leave all."""
    layer = S4D(2, 6)
    with torch.no_grad():
        layer.log_dt.copy_(torch.log(torch.tensor([0.1 / 64, 3.0])))
        layer.a_im.copy_(torch.linspace(0, 60, 6).expand(2, 6))
    found = PARAMETERISATIONS[kind](2, 6, small_config(bits={"a": 20, "a_magnitude": 8, "a_phase": 8}).scheme)
    found.fit(layer)
    slow, fast = (found.phase_on_grid() * 2 * np.pi).detach()
    wanted = torch.exp(layer.log_dt)[:, None] * layer.a_im
    assert (slow - wanted[0]).abs().max() <= 2 * np.pi / 64 / 256 / 2 * 1.001
    turned = (fast - wanted[1]).remainder(2 * np.pi)
    assert torch.minimum(turned, 2 * np.pi - turned).max() <= 2 * np.pi / 256 / 2 * 1.001


@pytest.mark.parametrize("kind", ALL)
def test_gradients_reach_what_is_trained(kind):
    _, found = fitted(kind, {"a": 6})
    re, im = found()
    if kind == "frozen":
        assert not re.requires_grad
        return
    (re.sum() + 2 * im.sum()).backward()
    for name, parameter in found.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("granularity", ["tensor", "head"])
@pytest.mark.parametrize("name", ["log_dt", "log_a_re", "a_im"])
@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_no_grid_is_fitted_to_what_is_no_number(kind, granularity, name, wrong):
    layer = S4D(4, 6)
    getattr(layer, name).data[1] = wrong
    scheme = small_config(scheme={"parameterisation": kind, "granularity": granularity}).scheme
    with pytest.raises(SsmqError, match="must be finite numbers"):
        PARAMETERISATIONS[kind](4, 6, scheme).fit(layer)


def extended(value: torch.Tensor) -> np.ndarray:
    return value.detach().numpy().astype(np.longdouble)


def by_hand(found) -> tuple[np.ndarray, np.ndarray]:
    """Magnitude and angle of Ā on its stored grid, in more than double precision."""
    angle = 2 * np.longdouble(np.pi) * extended(found.phase_on_grid())
    if hasattr(found, "magnitude"):
        codes = np.floor(extended(found.magnitude) * 2**found.bits.a_magnitude)
        return (codes + np.longdouble(0.5)) / 2**found.bits.a_magnitude, angle
    low, high = found.log_decay_range.numpy()
    step = (high - low) / np.float32(2**found.bits.a_magnitude - 1)
    codes = np.rint((found.log_decay.detach().numpy() - low) / step)
    return np.exp2(-np.exp2((low + codes * step).astype(np.longdouble))), angle


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", ["continuous", "polar", "log_polar"])
def test_codes_are_those_of_more_than_single_precision(kind, seed):
    """A GPU's exponentials and a CPU's agree to single precision only, which moves codes next to a tie."""
    _, found = fitted(kind, {"a": 21, "a_magnitude": 10, "a_phase": 12}, seed)
    if kind == "continuous":
        a = -np.exp(extended(found.log_a_re)), extended(found.a_im)
        dt = np.exp(extended(found.log_dt))[:, None]
        magnitude, angle = np.exp(a[0] * dt), a[1] * dt
    else:
        magnitude, angle = by_hand(found)
    for value, exact in zip(found(), (magnitude * np.cos(angle), magnitude * np.sin(angle)), strict=True):
        codes, wanted = (np.ldexp(part, 20) for part in (extended(value), exact))
        sure = np.abs(wanted - np.floor(wanted) - 0.5) > 1e-4
        if kind == "continuous":  # rounded to float32 before it is rounded to its grid
            sure &= np.abs(wanted - np.floor(wanted) - 0.5) > 0.07
        assert sure.sum() > 12 and np.array_equal(codes[sure], np.rint(wanted[sure]).clip(-(2**20), 2**20 - 1))
