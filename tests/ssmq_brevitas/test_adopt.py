"""Networks of Brevitas' layers: adopted with their own values, or refused with the option to set, which then is enough."""

from __future__ import annotations

import operator

import brevitas.nn as qnn
import pytest
import torch
from brevitas.inject.enum import BitWidthImplType, FloatToIntImplType, RestrictValueType, ScalingImplType
from brevitas.quant import (
    Fp8e4m3ActPerTensorFloat,
    Int8ActPerTensorFloat,
    Int8BiasPerTensorFixedPointInternalScaling,
    Int8WeightPerTensorFixedPoint,
    Int8WeightPerTensorFloat,
    Int32Bias,
    ShiftedUint8ActPerTensorFloat,
    SignedBinaryActPerTensorConst,
)
from brevitas.quant.fixed_point import Int8WeightPerChannelFixedPoint
from brevitas_networks import GRIDS, SIGNED, UNSIGNED, Detector
from ssmq_brevitas.activations import Table
from ssmq_brevitas.config import Bits
from ssmq_brevitas.errors import SsmqError
from ssmq_brevitas.network.adopt import adopt
from ssmq_brevitas.network.checkpoint import save
from ssmq_brevitas.network.operations import operations
from ssmq_brevitas.network.structure import quantized_of
from ssmq_brevitas.network.widths import Widths
from ssmq_brevitas.norm import QuantBatchNorm1d
from ssmq_brevitas.quant_s4d import QuantS4D
from ssmq_brevitas.quantizers import UnitIntScale
from ssmq_brevitas.s4d import S4D
from torch import nn
from torch.nn import functional as F

POWER = RestrictValueType.POWER_OF_TWO


def act(**options) -> nn.Module:
    return qnn.QuantIdentity(**{"act_quant": SIGNED, **options})


def linear(inputs: int = 4, outputs: int = 4, **options) -> nn.Module:
    return qnn.QuantLinear(inputs, outputs, **{**GRIDS, **options})


class Around(nn.Module):
    """``part`` between an encoder and a decoder; every layer may be another than the usual one."""

    def __init__(self, part=None, sensor=None, encoder=None, pool=None, decoder=None, call=None):
        super().__init__()
        self.sensor, self.encoder = sensor or qnn.QuantIdentity(act_quant=UNSIGNED), encoder or linear(3)
        self.part, self.pool, self.decoder = part or act(), pool or act(), decoder or linear(4, 2)
        self.call = call or (lambda part, x: part(x))

    def forward(self, x):
        return self.decoder(self.pool(self.call(self.part, self.encoder(self.sensor(x))).mean(dim=1)))


class Two(nn.Module):
    """Two quantisers of one input, joined."""

    def __init__(self, join, *parts):
        super().__init__()
        self.join, self.parts = join, nn.ModuleList(parts)

    def forward(self, x):
        return self.join(*(part(x) for part in self.parts))


class Doubled(qnn.QuantLinear):
    def forward(self, x):
        return 2 * super().forward(x)


def batch() -> torch.Tensor:
    return torch.rand(6, 12, 3, generator=torch.Generator().manual_seed(0))


def trained(network: nn.Module, x: torch.Tensor) -> nn.Module:
    """After three steps: ranges are set, and no parameter is where it began."""
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-2)
    for _ in range(3):
        optimiser.zero_grad()
        (network(x) - 1).square().mean().backward()
        optimiser.step()
    return network.eval()


def turned(part: nn.Module, x: torch.Tensor) -> torch.Tensor:
    return part(x.transpose(1, 2)).transpose(1, 2)


class Largest(nn.Module):
    """A scale of the largest value that a quantiser sees."""

    def forward(self, x: torch.Tensor, threshold: torch.Tensor | None = None) -> torch.Tensor:
        return torch.exp2(torch.ceil(torch.log2(x.abs().max() + 1e-3)) - 7)


def constant(greatest: float, bits: int = 8, **options) -> nn.Module:
    return act(scaling_impl_type=ScalingImplType.CONST, scaling_init=greatest, bit_width=bits, **options)


def twice(layer: nn.Module) -> list[nn.Module]:
    """Calls of one layer on codes of two grids."""
    return [constant(1.0, return_quant_tensor=True), layer, constant(0.25, return_quant_tensor=True), layer, act()]


class MyReLU(qnn.QuantReLU):
    """A user's own subclass."""


TAKEN = {
    "weights with a scale an output": lambda: Around(encoder=linear(3, weight_quant=Int8WeightPerChannelFixedPoint)),
    "float quantisers restricted to powers of two": lambda: Around(
        act(act_quant=Int8ActPerTensorFloat, restrict_scaling_type=POWER),
        encoder=linear(3, weight_quant=Int8WeightPerTensorFloat, weight_restrict_scaling_type=POWER),
    ),
    "a constant scale": lambda: Around(constant(2.0)),
    "a learned width": lambda: Around(act(bit_width_impl_type=BitWidthImplType.PARAMETER)),
    "a narrow range": lambda: Around(act(narrow_range=True)),
    "a bias on the accumulator's grid": lambda: Around(
        sensor=qnn.QuantIdentity(act_quant=UNSIGNED, return_quant_tensor=True),
        encoder=linear(3, weight_quant=Int8WeightPerChannelFixedPoint, bias_quant=Int32Bias),
    ),
    "no bias": lambda: Around(encoder=linear(3, bias=False, bias_quant=None)),
    "quantisers of a layer": lambda: Around(nn.Identity(), nn.Identity(), linear(3, input_quant=UNSIGNED, output_quant=SIGNED)),
    "the input quantised twice alike": lambda: Around(
        nn.Sequential(Two(torch.add, act(), qnn.QuantReLU(act_quant=UNSIGNED)), act()),
        Two(
            torch.add,
            *[
                qnn.QuantIdentity(act_quant=UNSIGNED, scaling_impl_type=ScalingImplType.CONST, scaling_init=1.0)
                for _ in range(2)
            ],
        ),
        linear(3, input_quant=UNSIGNED),
    ),
    "a quantiser of codes that are finer, and one of coarser": lambda: Around(
        nn.Sequential(constant(1.0), constant(1.0, bits=4), constant(1.0), act())
    ),
    "one layer twice": lambda: Around(nn.Sequential(act(), shared := linear(), act(), shared, MyReLU(act_quant=UNSIGNED))),
    "a sum of one grid": lambda: Around(
        nn.Sequential(
            act(return_quant_tensor=True, bit_width=4), Two(lambda x, y: (x + y).value, nn.Identity(), nn.Identity()), act()
        )
    ),
    "a sum of two grids": lambda: Around(nn.Sequential(Two(lambda x, y: x - y / 4, act(bit_width=3), act(bit_width=6)), act())),
    "a quotient": lambda: Around(nn.Sequential(Two(lambda x: x / 3, act()), act())),
    "sigmoid of codes": lambda: Around(nn.Sequential(act(bit_width=6), qnn.QuantSigmoid(act_quant=UNSIGNED))),
    "tanh of codes": lambda: Around(nn.Sequential(act(bit_width=6), qnn.QuantTanh(act_quant=SIGNED))),
    "hardtanh": lambda: Around(qnn.QuantHardTanh(act_quant=SIGNED, min_val=-1.0, max_val=1.0)),
    "functions of torch": lambda: Around(
        nn.Sequential(act(), nn.GELU(approximate="tanh"), act(), Two(lambda x: F.silu(x).relu(), nn.Identity()), act())
    ),
    "a convolution": lambda: Around(nn.Sequential(act(), qnn.QuantConv1d(4, 4, 1, **GRIDS), act()), call=turned),
    "a sum that is a layer": lambda: Around(
        nn.Sequential(Two(qnn.QuantEltwiseAdd(SIGNED, SIGNED, input_bit_width=6), act(), act(bit_width=4)), act(bit_width=5))
    ),
    "a sum that is a layer, twice": lambda: Around(
        nn.Sequential(
            Two(shared := qnn.QuantEltwiseAdd(None, SIGNED, return_quant_tensor=True), act(), act(bit_width=4)),
            Two(shared, nn.Identity(), act()),
            act(),
        )
    ),
    "a norm of this package": lambda: Around(nn.Sequential(QuantBatchNorm1d(nn.BatchNorm1d(4), 8), act()), call=turned),
}


@pytest.mark.parametrize("name", TAKEN)
def test_an_adopted_network_gives_the_values_of_the_one_that_was_given(name):
    torch.manual_seed(0)
    x = batch()
    network = trained(TAKEN[name](), x)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    wanted = network(x)
    adopted = adopt(network.train(), x)
    assert network.training and not any("inner_forward_impl" in vars(part) for part in network.modules())
    network.eval()
    assert torch.equal(adopted(x), wanted) and wanted.std() > 0
    other = torch.rand(9, 12, 3) * 1.2
    assert torch.equal(adopted(other), network(other))
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    about = quantized_of(adopted)
    assert (about.steps, about.channels, about.input_signed) == (12, 3, False)
    assert max(Widths(operations(adopted, about.example), about.steps).accumulators().values()) <= 24


NORMED = {
    "channels first": lambda norm: Around(nn.Sequential(norm, act()), call=turned),
    "of a quantised tensor": lambda norm: Around(nn.Sequential(act(return_quant_tensor=True), norm, act()), call=turned),
    "after the mean": lambda norm: Around(pool=nn.Sequential(act(), norm, act())),
    "called twice": lambda norm: Around(nn.Sequential(norm, act(), norm, act()), call=turned),
    "in float64": lambda norm: Around(nn.Sequential(norm, act()), call=turned).double(),
}


@pytest.mark.parametrize("name", NORMED)
def test_a_batch_norm_of_torch_is_taken_on_the_grid_that_quantize_gives_it(name):
    torch.manual_seed(0)
    network = NORMED[name](norm := nn.BatchNorm1d(4))
    x = batch().to(next(network.parameters()).dtype)
    trained(network, x)
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([-1.0, 0.7, 1.3, 0.0]))
    before = {key: value.clone() for key, value in network.state_dict().items()}
    adopted = adopt(network, x)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items()) and type(norm) is nn.BatchNorm1d
    (path,) = (path for path, part in network.named_modules() if part is norm)
    on_grid = adopted.get_submodule(path)
    assert on_grid.bits == Bits().norm and torch.equal(on_grid.running_var, norm.running_var)
    assert not [part for part in adopted.modules() if type(part) is nn.BatchNorm1d]
    for other, part in list(network.named_modules(remove_duplicate=False)):
        if part is norm:
            network.set_submodule(other, on_grid)
    wanted = network(x)
    assert torch.equal(adopted(x), wanted) and wanted.std() > 0


# What is refused, what the message must say, and the same network with what it says.
REFUSED = {
    "a float scale of weights": (
        lambda: Around(encoder=linear(3, weight_quant=Int8WeightPerTensorFloat)),
        r"encoder \(QuantLinear\): the scale of its weight is 0\.\d+, no power of two.*weight_restrict_scaling_type=RestrictValueType.POWER",
        lambda: Around(encoder=linear(3, weight_quant=Int8WeightPerTensorFloat, weight_restrict_scaling_type=POWER)),
    ),
    "a float scale": (
        lambda: Around(act(act_quant=Int8ActPerTensorFloat)),
        r"part \(QuantIdentity\): the scale of its quantiser is 0\.\d+, no power of two: set restrict_scaling_type=.*FixedPoint",
        lambda: Around(act(act_quant=Int8ActPerTensorFloat, restrict_scaling_type=POWER)),
    ),
    "a float scale of an input": (
        lambda: Around(nn.Identity(), encoder=linear(3, output_quant=Int8ActPerTensorFloat)),
        "encoder.*its output quantiser is.*set output_restrict_scaling_type",
        lambda: Around(
            nn.Identity(), encoder=linear(3, output_quant=Int8ActPerTensorFloat, output_restrict_scaling_type=POWER)
        ),
    ),
    "a float bias": (
        lambda: Around(encoder=linear(3, bias_quant=None)),
        "encoder.*bias is not quantised.*bias_quant=Int8BiasPerTensorFixedPointInternalScaling",
        lambda: Around(encoder=linear(3, bias_quant=Int8BiasPerTensorFixedPointInternalScaling)),
    ),
    "a bias on an unknown grid": (
        lambda: Around(encoder=linear(3, bias_quant=Int32Bias)),
        "encoder: .*Input scale required: set return_quant_tensor=True",
        lambda: Around(
            encoder=linear(3, bias_quant=Int32Bias), sensor=qnn.QuantIdentity(act_quant=UNSIGNED, return_quant_tensor=True)
        ),
    ),
    "a float weight": (
        lambda: Around(encoder=linear(3, weight_quant=None)),
        "encoder.*weight is not quantised.*weight_quant=Int8WeightPerTensorFixedPoint",
        lambda: Around(encoder=linear(3, weight_quant=Int8WeightPerTensorFixedPoint)),
    ),
    "a float layer": (
        lambda: Around(nn.Sequential(act(), nn.Linear(4, 4), act())),
        r"part.1 \(Linear\): is not quantised: use QuantLinear",
        lambda: Around(nn.Sequential(act(), linear(), act())),
    ),
    "a float S4D": (
        lambda: Around(nn.Sequential(act(), S4D(4, 2), act())),
        r"part.1 \(S4D\): is not quantised: use QuantS4D",
        lambda: Around(nn.Sequential(act(), QuantS4D(4, 2), act())),
    ),
    "floats for codes": (
        lambda: Around(act(act_quant=Fp8e4m3ActPerTensorFloat)),
        r"part \(QuantIdentity\): its quantiser is none of integers: use an Int8 or Uint8 one for act_quant",
        lambda: Around(act()),
    ),
    "two quantisers at the input": (
        lambda: Around(
            nn.Sequential(Two(operator.add, act(), act(bit_width=4)), act()), *[nn.Identity()] * 2, decoder=linear(3, 2)
        ),
        "the input is quantised by part.0.parts.0 and part.0.parts.1: put one QuantIdentity before all of them",
        lambda: Around(
            nn.Sequential(Two(operator.add, act(), act(bit_width=4)), act()), None, nn.Identity(), decoder=linear(3, 2)
        ),
    ),
    "a layer that does something else": (
        lambda: Around(nn.Sequential(act(), Doubled(4, 4, **GRIDS), act())),
        "part.1: gives other values than its integers do: please report the layer",
        lambda: Around(nn.Sequential(act(), linear(), act())),
    ),
    "a norm without statistics": (
        lambda: Around(nn.Sequential(nn.BatchNorm1d(4, track_running_stats=False), act()), call=turned),
        r"part.0: takes the statistics of what it is given: set track_running_stats=True",
        None,
    ),
    "a float scale of a sum": (
        lambda: Around(nn.Sequential(Two(qnn.QuantEltwiseAdd(Int8ActPerTensorFloat, SIGNED), act(), act(bit_width=4)))),
        r"part.0.join \(QuantEltwiseAdd\): the scale of its input quantiser is 0\.\d+, no power of two: set input_restrict",
        lambda: Around(nn.Sequential(Two(qnn.QuantEltwiseAdd(SIGNED, SIGNED), act(), act(bit_width=4)))),
    ),
    "another rounding": (
        lambda: Around(act(float_to_int_impl_type=FloatToIntImplType.FLOOR)),
        r"part \(QuantIdentity\).*rounding is FLOOR, set float_to_int_impl_type=FloatToIntImplType.ROUND",
        lambda: Around(act(float_to_int_impl_type=FloatToIntImplType.ROUND)),
    ),
    "a zero point": (
        lambda: Around(act(act_quant=ShiftedUint8ActPerTensorFloat, restrict_scaling_type=POWER)),
        "part.*has the zero point [0-9]+: use a symmetric one for act_quant",
        lambda: Around(act(act_quant=Int8ActPerTensorFloat, restrict_scaling_type=POWER)),
    ),
    "a scale a channel": (
        lambda: Around(
            act(
                scaling_per_output_channel=True, per_channel_broadcastable_shape=(1, 1, 4), scaling_stats_permute_dims=(2, 0, 1)
            )
        ),
        "part.*has a scale a channel: set scaling_per_output_channel=False",
        lambda: Around(act(scaling_per_output_channel=False)),
    ),
    "a scale of the moment": (
        lambda: Around(act(act_quant=Int8ActPerTensorFloat.let(scaling_impl=Largest(), int_scaling_impl=UnitIntScale()))),
        "part.*finds its scale anew for every input: use one whose scale stays, such as act_quant=Int8ActPerTensorFixedPoint",
        lambda: Around(act()),
    ),
    "a bias on the grids of two inputs": (
        lambda: Around(nn.Sequential(*twice(linear(bias_quant=Int32Bias)))),
        "part.1: its bias takes other values.*bias_quant=Int8BiasPerTensorFixedPointInternalScaling",
        lambda: Around(nn.Sequential(*twice(linear()))),
    ),
    "one bit with a sign": (
        lambda: Around(act(act_quant=SignedBinaryActPerTensorConst, scaling_init=1.0)),
        "part.*has 1 bits: set bit_width to a whole number from 2 to 16",
        lambda: Around(act(bit_width=2)),
    ),
    "no quantiser at the input": (
        lambda: Around(sensor=nn.Identity()),
        "encoder: does not only quantise the input: put a QuantIdentity",
        lambda: Around(sensor=act()),
    ),
    "a narrow range at the input": (
        lambda: Around(sensor=act(narrow_range=True)),
        "sensor: does not only quantise the input: put a QuantIdentity of the whole range",
        lambda: Around(sensor=act(narrow_range=False)),
    ),
    "no quantiser before a sum over time": (
        lambda: Around(nn.Identity()),
        "mean: needs codes, but encoder gives an exact sum or product: put a QuantIdentity between them",
        lambda: Around(act()),
    ),
    "no quantiser before a layer": (
        lambda: Around(pool=nn.Identity()),
        "decoder: needs codes, but mean gives a float value: put a QuantIdentity",
        lambda: Around(pool=act()),
    ),
    "a sigmoid of a sum": (
        lambda: Around(qnn.QuantSigmoid(act_quant=UNSIGNED)),
        r"part: needs codes, but encoder gives an exact sum.*put a QuantIdentity between them, or compute in float64 \(.double\(\)\)",
        lambda: Around(qnn.QuantSigmoid(act_quant=UNSIGNED)).double(),
    ),
    "scales that a QuantTensor cannot add": (
        lambda: Around(
            nn.Sequential(Two(operator.add, act(return_quant_tensor=True, bit_width=3), act(return_quant_tensor=True)), act())
        ),
        "part.0.add: .*Scaling factors are different: .*return_quant_tensor=False",
        lambda: Around(nn.Sequential(Two(torch.add, act(bit_width=3), act()), act())),
    ),
    "sums that float32 rounds": (
        lambda: Around(encoder=linear(3, weight_bit_width=14, bias_bit_width=16), sensor=act(bit_width=14)),
        r"encoder: its sum needs \d\d bits.*float32.*holds 24 exactly: narrow what feeds it, or train and export in float64",
        lambda: Around(encoder=linear(3, weight_bit_width=14, bias_bit_width=16), sensor=act(bit_width=14)).double(),
    ),
    "a convolution over time": (
        lambda: Around(nn.Sequential(act(), qnn.QuantConv1d(4, 4, 3, padding=1, **GRIDS), act()), call=turned),
        "part.1 .*kernel 1",
        lambda: Around(nn.Sequential(act(), qnn.QuantConv1d(4, 4, 1, **GRIDS), act()), call=turned),
    ),
    "another layer of Brevitas": (
        lambda: Around(nn.Sequential(act(), qnn.BatchNorm1dToQuantScaleBias(4), act()), call=turned),
        r"part.1 \(BatchNorm1dToQuantScaleBias\): has no exact integer form",
        None,
    ),
}


# Brevitas' own word on what is then refused.
@pytest.mark.filterwarnings("ignore:No quant bias cache found")
@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_named_with_the_option_that_is_enough(name):
    torch.manual_seed(0)
    wrong, message, right = REFUSED[name]
    with pytest.raises(SsmqError, match=f"^{message}") as caught:
        adopt(ready(wrong()), batch())
    assert "\n" not in str(caught.value)
    if right is not None:
        network = ready(right())
        x = batch().to(next(network.parameters()).dtype)
        assert torch.equal(adopt(network, x)(x), network(x))


def ready(network: nn.Module) -> nn.Module:
    """Trained, if it can be: some networks that are to be refused only run in training mode, others never do."""
    try:
        return trained(network, batch().to(next(network.parameters()).dtype))
    except RuntimeError:
        return network.eval()


def test_a_scale_of_s4d_that_is_no_power_of_two_is_named():
    network = Detector()
    network(torch.rand(2, 8, 2))
    network.s4d.c_quant.power.scale.fill_(0.3)
    with pytest.raises(SsmqError, match=r"^s4d.c_quant.*power of two, not 0.3"):
        adopt(network, torch.rand(2, 8, 2))


def test_a_network_that_saw_nothing_is_to_be_run():
    network = nn.Sequential(act(scaling_impl_type="const", scaling_init=1.0), QuantS4D(3, 2))
    with pytest.raises(SsmqError, match=r"^1 \(QuantS4D\): the range of its states is not known yet: run a batch in training"):
        adopt(network, batch())


def test_a_network_that_saw_nothing_but_zeros_is_to_be_trained():
    network = Around()
    network(torch.zeros(2, 5, 3))
    with pytest.raises(SsmqError, match=r"^sensor \(QuantIdentity\): .* seen nothing but zeros: train"):
        adopt(network.eval(), batch())


def test_a_layer_that_refuses_its_input_is_named_by_its_path():
    network = trained(Detector(), torch.rand(4, 12, 2))
    network.u = qnn.QuantIdentity(scaling_impl_type=ScalingImplType.CONST, scaling_init=1.1, return_quant_tensor=True)
    with pytest.raises(SsmqError, match="^s4d: .*input has the scale 0.00859375, no power of two"):
        adopt(network.eval(), torch.rand(4, 12, 2))


def test_what_is_no_network_or_no_batch_is_refused():
    network = trained(Around(), batch())
    for wrong in (batch()[0], batch()[:0], batch().numpy(), batch() / 0):
        with pytest.raises(SsmqError, match="the example (must be a tensor|holds values)"):
            adopt(network, wrong)
    with pytest.raises(SsmqError, match="torch.nn.Module"):
        adopt("network", batch())
    with pytest.raises(SsmqError, match="encoder: reads 3 channels, but is given 2"):
        adopt(network, batch()[..., :2])


def test_an_adopted_network_is_not_saved_as_if_it_had_a_scheme(tmp_path):
    adopted = adopt(trained(Around(), batch()), batch())
    with pytest.raises(SsmqError, match="n.pt is not written.*your own module"):
        save(tmp_path / "n.pt", adopted)
    assert not list(tmp_path.iterdir())


def test_a_quantiser_of_codes_goes_if_it_changes_none():
    layers = [constant(1.0), constant(2.0, bits=9), constant(0.5, bits=7), constant(2.0)]
    network = trained(Around(nn.Sequential(*layers)), batch())
    paths = [op.path for op in operations(adopt(network, batch()), batch()) if op.kind == "quantizer"]
    assert paths == ["sensor", "part.0", "part.2", "part.3", "pool"]


def test_a_quotient_is_rounded_once():
    """183 / 61 is 3 and a tie of the next grid; 183 times the float nearest to 1 / 61 lies below it."""
    network = nn.Sequential(constant(2.0, bits=9), Two(lambda x: x / 61, nn.Identity()), constant(2.0)).eval()
    codes = torch.arange(-256, 256).view(1, -1, 1) * 2.0**-7
    adopted = adopt(network, codes)
    assert adopted(codes)[0, 256 + 183] == 2 * 2.0**-6 and torch.equal(adopted(codes), network(codes))


@pytest.mark.parametrize("function", [F.silu, F.gelu, F.hardsigmoid, torch.sigmoid, nn.Tanh(), nn.GELU("tanh")])
def test_a_function_of_codes_is_the_very_function_of_the_network(function):
    """To the last place of float32, not only where a quantiser would see it."""
    layer = function if isinstance(function, nn.Module) else Two(function, nn.Identity())
    network = nn.Sequential(constant(4.0), layer, act())
    network.train()(torch.randn(2, 9, 1))
    (found,) = [part for part in adopt(network.eval(), torch.randn(2, 9, 1)).modules() if isinstance(part, Table)]
    codes = torch.arange(-128, 128) / 32
    assert torch.equal(found(codes), function(codes))
