"""QuantS4D as a layer of Brevitas: given quantiser classes, trained by anybody's loop, run step by step."""

from __future__ import annotations

import copy

import brevitas.nn as qnn
import pytest
import torch
from brevitas.inject.enum import BitWidthImplType, FloatToIntImplType, QuantType, RestrictValueType, ScalingImplType
from brevitas.quant import (
    Int8ActPerTensorFixedPoint,
    Int8ActPerTensorFloat,
    Int8WeightPerChannelFloat,
    Int8WeightPerTensorFixedPoint,
    Int8WeightPerTensorFloat,
    NoneWeightQuant,
    ShiftedUint8ActPerTensorFixedPoint,
    ShiftedUint8WeightPerTensorFloat,
    Uint8ActPerTensorFixedPoint,
    Uint8ActPerTensorFloat,
)
from brevitas.quant_tensor import QuantTensor
from conftest import small_config
from ssmq_brevitas.calibration import state_statistics
from ssmq_brevitas.errors import SsmqError
from ssmq_brevitas.fitting import fit_layer
from ssmq_brevitas.parameterisations import PARAMETERISATIONS
from ssmq_brevitas.quant_s4d import QuantS4D
from ssmq_brevitas.quantizers import PowerOfTwoAct, Quantizer
from ssmq_brevitas.s4d import S4D
from torch import nn

Weight = Int8WeightPerTensorFixedPoint.let(narrow_range=False)
WeightByHead = Int8WeightPerChannelFloat.let(narrow_range=False, restrict_scaling_type=RestrictValueType.POWER_OF_TWO)
Act = Int8ActPerTensorFixedPoint.let(collect_stats_steps=4)  # the scale is trained from the fifth batch on
ConstantState = Int8ActPerTensorFixedPoint.let(scaling_impl_type=ScalingImplType.CONST, scaling_init=4.0)
OWN = {f"{tensor}_quant": Weight for tensor in "abcd"} | {"state_quant": ConstantState}
BY_HEAD = {f"{tensor}_quant": WeightByHead for tensor in "abcd"}
LAYERS = {
    "default": {},
    "narrow": {"a_bit_width": 6, "b_bit_width": 5, "c_bit_width": 4, "d_bit_width": 3, "state_bit_width": 7},
    "own classes": OWN,
    "a scale a head": BY_HEAD,
    "output": {"output_quant": Act, "output_bit_width": 6},
    **{kind: {"parameterisation": kind} for kind in PARAMETERISATIONS},
    "polar, own classes": {"parameterisation": "polar", **OWN},
}


def on_a_grid(*shape: int, seed: int = 0) -> torch.Tensor:
    torch.manual_seed(seed)
    return (torch.randn(*shape) * 32).round().clamp(-128, 127) / 32


def ranged(heads: int = 3, modes: int = 4, **options) -> QuantS4D:
    """A layer that has seen a batch, in evaluation mode."""
    torch.manual_seed(1)
    layer = QuantS4D(heads, modes, **options)
    layer(on_a_grid(4, 60, heads))
    return layer.eval()


class Detector(nn.Module):
    """A network around the layer as its user writes it."""

    def __init__(self, **options):
        super().__init__()
        act, weight = Act, Int8WeightPerTensorFixedPoint
        self.sensor = qnn.QuantIdentity(act_quant=act, return_quant_tensor=True)
        self.mix = qnn.QuantLinear(2, 6, weight_quant=weight)
        self.u = qnn.QuantIdentity(act_quant=act, return_quant_tensor=True)
        self.s4d = QuantS4D(6, 5, **options)
        self.relu = qnn.QuantReLU(act_quant=Uint8ActPerTensorFixedPoint.let(collect_stats_steps=4))
        self.head = qnn.QuantLinear(6, 1, weight_quant=weight)

    def forward(self, x):
        return self.head(self.relu(self.s4d(self.u(self.mix(self.sensor(x))))))


@pytest.mark.parametrize("name", LAYERS)
def test_a_plain_loop_trains_it(name):
    """Ten lines, one optimiser for all parameters; the running mean of the difference of two inputs is learned."""
    torch.manual_seed(0)
    model = Detector(**LAYERS[name])
    x = torch.randn(16, 40, 2)
    wanted = (x[..., :1] - x[..., 1:]).cumsum(dim=1) / torch.arange(1, 41)[:, None]
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(40):
        optimiser.zero_grad()
        loss = nn.functional.mse_loss(model(x), wanted)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]
    trained = {key for key, parameter in model.named_parameters() if parameter.requires_grad}
    reached = {key for key, parameter in model.named_parameters() if parameter.grad is not None}
    assert trained == reached and {"s4d.b", "s4d.c", "s4d.d"} < trained
    assert all(parameter.grad.any() for parameter in model.s4d.parameters() if parameter.requires_grad)


@pytest.mark.parametrize("name", LAYERS)
def test_engines_and_steps_give_the_same_codes(name):
    layer, u = ranged(**LAYERS[name]), on_a_grid(2, 50, 3, seed=2) * 3
    y = layer(u)
    assert len(y.unique()) > 20
    state, stream = layer.initial_state(2), []
    for u_t in u.unbind(dim=1):
        y_t, state = layer.step(u_t, state)
        stream.append(y_t)
    assert state.dtype == torch.int32 and state.any()
    assert torch.equal(torch.stack(stream, dim=1), y)
    layer.engine = layer.state.engine = "reference"
    assert torch.equal(layer(u), y)


@pytest.mark.parametrize("granularity", ["tensor", "head"])
@pytest.mark.parametrize("equalise", [True, False])
def test_layers_of_a_scheme_step_too(granularity, equalise):
    scheme = small_config(scheme={"granularity": granularity, "equalise": equalise}).scheme
    u_quantizer = Quantizer(8)
    u_quantizer.power.set_exponent(-5)
    torch.manual_seed(0)
    floating, layer, u = S4D(3, 4), QuantS4D.from_scheme(3, 4, scheme), on_a_grid(2, 50, 3)
    with torch.no_grad():
        fit_layer(layer, floating, scheme, u_quantizer.format, state_statistics(*floating.discrete()[:2], u))
        state, stream = layer.initial_state(2), []
        for u_t in u.unbind(dim=1):
            y_t, state = layer.step(u_t, state)
            stream.append(y_t)
        assert torch.equal(torch.stack(stream, dim=1), layer(u))


@pytest.mark.parametrize("stretches, steps", [(40, 250), pytest.param(1000, 1000, marks=pytest.mark.slow)])
def test_a_long_stream_is_the_whole_sequence(stretches, steps):
    """Stretches side by side, each from the state that the sequence has there to the state where the next begins."""
    layer = ranged(2, 2)
    u = on_a_grid(1, stretches * steps, 2, seed=3)
    with torch.no_grad():
        y, re, im = layer.trace(u)
        states = torch.stack([re, im], dim=-1)[0].unflatten(0, (stretches, steps))
        state = torch.cat([layer.initial_state(1), states[:-1, -1]])
        y, u = (values[0].unflatten(0, (stretches, steps)) for values in (y, u))
        for t in range(steps):
            y_t, state = layer.step(u[:, t], state)
            assert torch.equal(y_t, y[:, t]) and torch.equal(state, states[:, t]), t


def test_an_untrained_layer_is_near_the_float_layer_it_starts_from():
    torch.manual_seed(4)
    wide = {f"{tensor}_bit_width": 16 for tensor in ("a", "b", "c", "d", "state")}
    layer, u = QuantS4D(3, 4, **wide).double(), on_a_grid(2, 60, 3).double()
    torch.manual_seed(4)
    floating = S4D(3, 4).double()
    assert torch.allclose(layer(u), floating(u), atol=2e-2)


@pytest.mark.parametrize("output", [Uint8ActPerTensorFixedPoint, PowerOfTwoAct.let(signed=False)])
def test_a_quant_tensor_in_and_out(output):
    layer = ranged(output_quant=output, output_bit_width=5, return_quant_tensor=True)
    given = qnn.QuantIdentity(act_quant=Int8ActPerTensorFixedPoint, return_quant_tensor=True).eval()(on_a_grid(2, 30, 3))
    y = layer(given)
    assert isinstance(y, QuantTensor) and y.is_valid and y.bit_width == 5 and not y.signed
    assert torch.equal(y.value, layer(given.value).value)
    assert not isinstance(ranged()(given), QuantTensor)


@pytest.mark.parametrize(
    "act, problem",
    [(Int8ActPerTensorFloat, "has the scale 0.0.*, no power of two"), (ShiftedUint8ActPerTensorFixedPoint, "has a zero point")],
)
def test_a_quant_tensor_on_another_grid_is_refused(act, problem):
    sensor = qnn.QuantIdentity(act_quant=act, return_quant_tensor=True)
    sensor(torch.randn(2, 30, 3))
    sensor.eval()
    with pytest.raises(SsmqError, match=f"QuantS4D's input {problem}.* in the quantiser before"):
        ranged()(sensor(torch.randn(2, 30, 3)))


def test_a_checkpoint_brings_the_range_of_the_states(tmp_path):
    layer, u = ranged(), on_a_grid(2, 30, 3)
    fresh = QuantS4D(3, 4).eval()
    with pytest.raises(SsmqError, match="the range of its states is not known yet"):
        fresh(u)
    fresh.load_state_dict(layer.state_dict())
    assert torch.equal(fresh(u), layer(u))
    assert torch.equal(copy.deepcopy(layer)(u), layer(u))


def test_a_copy_of_own_classes_follows_its_own_parameters():
    """A scale by statistics is that of the copy's weights."""
    layer = ranged(**OWN)
    other = copy.deepcopy(layer)
    with torch.no_grad():
        other.c.mul_(16)
    assert other.c_quant.format.exponent == layer.c_quant.format.exponent + 4


REFUSED = {
    "a_quant must be a Brevitas quantiser class": {"a_quant": "int8"},
    "b_quant has a narrow range: set narrow_range = False": {"b_quant": Int8WeightPerTensorFixedPoint},
    "c_quant has a scale .* set restrict_scaling_type = RestrictValueType.POWER_OF_TWO": {
        "c_quant": Int8WeightPerTensorFloat.let(narrow_range=False)
    },
    "d_quant rounds by FloorSte: set float_to_int_impl_type = FloatToIntImplType.ROUND": {
        "d_float_to_int_impl_type": FloatToIntImplType.FLOOR
    },
    "c_quant .* set zero_point_impl = ZeroZeroPoint": {
        "c_quant": ShiftedUint8WeightPerTensorFloat.let(signed=True, narrow_range=False)
    },
    "c_quant is a TernaryQuant, no integer quantiser": {"c_quant_type": QuantType.TERNARY, "c_threshold": 0.5},
    "c_quant is unsigned: set signed = True": {"c_signed": False},
    "c_quant learns its width": {"c_bit_width_impl_type": BitWidthImplType.PARAMETER},
    "state_quant has a scale that moves .* ScalingImplType.CONST": {"state_quant": Int8ActPerTensorFixedPoint},
    "state_quant has the scale 0.0234375, no power of two": {
        "state_quant": Int8ActPerTensorFloat.let(scaling_impl_type=ScalingImplType.CONST, scaling_init=3.0)
    },
    "c_quant: Brevitas cannot build it .*bit_width": {"c_quant": NoneWeightQuant},
    "state_quant: Brevitas cannot build it .*scaling_init": {
        "state_quant": Int8ActPerTensorFixedPoint.let(scaling_impl_type=ScalingImplType.CONST)
    },
    "output_quant has a scale .* need not be a power of two": {"output_quant": Uint8ActPerTensorFloat},
    "return_quant_tensor needs an output_quant": {"return_quant_tensor": True},
    "output_bit_width needs an output_quant": {"output_bit_width": 4},
    "'s b_quant has 1 bits: set bit_width from 2 to 24": {"b_bit_width": 1},
    "'s state_quant has 40 bits": {"state_bit_width": 40},
    "'s a_phase has 1 bits": {"a_phase_bit_width": 1},
    "parameterisation must be one of discrete, continuous": {"parameterisation": "spherical"},
    "needs heads and modes from 1": {"heads": 0},
    "0 < dt_min <= dt_max": {"dt_min": 1.0},
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_hardware_cannot_compute_is_refused_with_the_option_to_set(message):
    with pytest.raises(SsmqError, match=message) as error:
        QuantS4D(**{"heads": 3, "modes": 4, **REFUSED[message]})
    assert "\n" not in str(error.value)


def test_an_option_of_no_tensor_is_a_type_error():
    with pytest.raises(TypeError, match="no option 'bit_width'"):
        QuantS4D(3, 4, bit_width=4)


def test_inputs_of_another_shape_are_refused():
    layer = ranged()
    for call in (lambda: layer(torch.zeros(2, 5, 4)), lambda: layer.step(torch.zeros(2, 4), layer.initial_state(2))):
        with pytest.raises(SsmqError, match=r"takes a tensor of the shape \(B.*, 3\), not \(2, .*4\)"):
            call()
    with pytest.raises(SsmqError, match=r"state takes a tensor of the shape \(2, 3, 4, 2\)"):
        layer.step(torch.zeros(2, 3), layer.initial_state(3))
