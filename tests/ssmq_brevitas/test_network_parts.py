"""Where quantisers stand, the width that each tensor gets, and the width of each sum: expected values are by hand."""

from __future__ import annotations

import json

import pytest
import torch
from networks import Residual, settled
from safetensors import safe_open
from safetensors.torch import save_file
from ssmq_brevitas.config import Bits, Scheme
from ssmq_brevitas.errors import SsmqError
from ssmq_brevitas.network.checkpoint import load, save
from ssmq_brevitas.network.footprint import footprint
from ssmq_brevitas.network.operations import operations
from ssmq_brevitas.network.quantize import quantize
from ssmq_brevitas.network.reconstruct import reconstruct
from ssmq_brevitas.network.structure import quantized_of
from ssmq_brevitas.network.widths import Widths
from ssmq_brevitas.norm import QuantBatchNorm1d
from ssmq_brevitas.quantizers import Quantizer
from ssmq_brevitas.s4d import S4D
from torch import nn
from torch.nn import functional as F

STEPS = 10


class Called(nn.Module):
    def __init__(self, call, parts=()):
        super().__init__()
        self.call = call
        for name, part in dict(parts).items():
            setattr(self, name, part)

    def forward(self, x):
        return self.call(self, x)


def quantized(call, parts=(), scheme=Scheme(), signed=True, channels=3):  # noqa: B008
    torch.manual_seed(0)
    batch = torch.randn(8, STEPS, channels)
    return quantize(Called(call, parts).eval(), scheme, batch if signed else batch.abs())


def quantizers(network) -> dict[str, Quantizer]:
    return {name: module for name, module in network.named_modules() if isinstance(module, Quantizer)}


def negated_twice(x):
    wide = torch.cat([x, x * 4], dim=-1)
    return -wide - wide


# Of codes 0 .. 255, or of -128 .. 127: the least and greatest sum on its finest grid, and bits that hold both.
SUMS = {
    "255 less, 4 * 255 more": (lambda m, x: x - x * 4, False, {"sub": 11}),  # -1020 .. 255
    "half a code less": (lambda m, x: x + x * -0.5, False, {"add": 10}),  # in halves -255 .. 510
    "twice less": (lambda m, x: x - x * -2, False, {"sub": 11}),  # 0 .. 765
    "over time": (lambda m, x: x.sum(1), False, {"sum": 13}),  # 0 .. 2550
    "a square": (lambda m, x: x * x, False, {"mul": 17}),  # 0 .. 65025
    "side by side": (lambda m, x: negated_twice(x), True, {"sub": 12}),  # on the grid of x, -2 * 508 .. 2 * 512
    "side by side, times 4": (lambda m, x: torch.cat([x, x], -1) * 4 - torch.cat([x, x], -1), False, {"sub": 11}),  # -255 .. 1020
    "two sums of one name": (lambda m, x: (x + x) + x, False, {"add": 10, "add_1": 11}),  # 0 .. 510, 0 .. 765
}  # fmt: skip


@pytest.mark.parametrize("call, signed, wanted", SUMS.values(), ids=SUMS)
def test_the_width_of_a_sum_is_that_of_its_least_and_greatest_value(call, signed, wanted):
    network = quantized(call, signed=signed)
    found = Widths(operations(network, quantized_of(network).example), STEPS).accumulators()
    assert sorted(found.values()) == sorted(wanted.values()) and len(found) == len(wanted)


@pytest.mark.parametrize("bits, kind", [(16, torch.float32), (17, torch.float64)])
def test_a_sum_past_24_bits_makes_the_network_double(bits, kind):
    """255 * 2**15 is below 2**23, so it and its sign are 24 bits; 255 * 2**16 is not."""
    layer = nn.Linear(1, 1, bias=False)
    network = quantized(lambda m, x: m.a(x), {"a": layer}, Scheme(bits=Bits(encoder=bits)), signed=False, channels=1)
    assert network.a.weight.dtype == kind


def test_a_sum_past_53_bits_is_refused_by_its_path():
    """128 products of a weight of 24 bits, at least -2**23, and a code up to 2**24: 2**54."""
    layer, scheme = nn.Linear(128, 1, bias=False), Scheme(bits=Bits(decoder=24), tensors={"p.relu_quant": 24})
    with pytest.raises(SsmqError, match="accumulator of p.a needs 5[4-9] bits"):
        quantized(lambda m, x: m.p(x), {"p": Called(lambda m, x: m.a(F.relu(x)), {"a": layer})}, scheme, channels=128)


PLACES = {
    "one for all that stand side by side": (lambda m, x: torch.cat([m.a(x), m.r(m.b(x))], -1), {"x_quant": 1, "cat_quant": 1}),
    "behind a dropout": (lambda m, x: m.b(m.d(m.a(x))), {"x_quant": 1, "d_quant": 1}),
    "none behind the last layer": (lambda m, x: m.b(m.a(x)), {"x_quant": 1, "a_quant": 1}),
    "before a sum with an S4D layer": (lambda m, x: m.s(x) + x, {"x_quant": 1, "s_quant": 1}),
    "behind a sum over time that is given out": (lambda m, x: x.sum(1), {"x_quant": 1, "sum_quant": 1}),
    "behind a code with its sign changed": (lambda m, x: m.a(-x), {"x_quant": 1, "neg_quant": 1}),
    "none behind a doubled code": (lambda m, x: m.a(2 * x), {"x_quant": 1}),
    "before a table": (lambda m, x: F.gelu(m.a(x)), {"x_quant": 1, "a_quant": 1, "gelu_quant": 1}),
    "not before thresholds": (lambda m, x: F.relu(m.a(x)), {"x_quant": 1, "relu_quant": 1}),
}  # fmt: skip


@pytest.mark.parametrize("call, wanted", PLACES.values(), ids=PLACES)
def test_quantizers_stand_where_codes_are_read(call, wanted):
    parts = {"a": nn.Linear(3, 3), "b": nn.Linear(3, 3), "r": nn.ReLU(), "d": nn.Dropout(), "s": S4D(3, 2)}
    assert quantizers(quantized(call, parts)).keys() - {"s.state"} == wanted.keys()


SIGNS = {
    "relu": (lambda x: F.relu(x), False), "relu, turned round": (lambda x: F.relu(x) * -0.3, True),
    "two relus": (lambda x: F.relu(x) + F.relu(x), False), "relu less something": (lambda x: F.relu(x) - 1, True),
    "sigmoid": (lambda x: torch.sigmoid(x), False), "tanh": (lambda x: torch.tanh(x), True),
    "clip from below 0": (lambda x: x.clamp(-0.25, 1), True), "clip from 0": (lambda x: x.clamp(0, 1), False),
    "hardswish": (lambda x: F.hardswish(x), True), "hardsigmoid": (lambda x: F.hardsigmoid(x), False),
    "relu beside a tensor": (lambda x: torch.cat([F.relu(x), torch.tanh(x)], -1), True),
}  # fmt: skip


@pytest.mark.parametrize("function, signed", SIGNS.values(), ids=SIGNS)
def test_what_is_never_below_0_has_unsigned_codes(function, signed):
    beside = function(torch.zeros(1, 1, 6)).shape[-1]
    network = quantized(lambda m, x: m.b(function(m.a(x))), {"a": nn.Linear(3, 6), "b": nn.Linear(beside, 2)})
    (source,) = (node.args[0] for node in network.graph.nodes if node.target == "b")
    source = source.args[0][0] if source.target is torch.cat else source
    assert network.get_submodule(source.target).signed is signed


@pytest.mark.parametrize("function", [torch.sigmoid, F.hardsigmoid])
def test_a_gate_has_all_of_0_to_1_however_little_was_seen(function):
    """Samples are near 0, so a range by samples would be narrower: 8 bits of [0, 1] are steps of 2**-8."""
    network = quantized(lambda m, x: m.b(function(m.a(x) * 0.001 - 3)), {"a": nn.Linear(3, 3), "b": nn.Linear(3, 2)})
    gate = next(module for name, module in quantizers(network).items() if "sigmoid" in name)
    assert not gate.signed and gate.format.exponent == -8


def test_every_role_has_the_width_that_the_scheme_gives_it():
    torch.manual_seed(0)
    batch = torch.randn(4, 20, 3)
    bits = Bits(input=9, u=10, y=11, activation=12, pool=13, linear=3, encoder=4, decoder=5, bias=15, norm=7)
    network = quantize(settled(Residual(layers=1), batch), Scheme(bits=bits), batch)
    found = {name: module.bits for name, module in quantizers(network).items()}
    block = {"s4d_quant": 11, "activation_quant": 12, "glu_value_quant": 12, "glu_quant": 12, "add_quant": 10}
    wanted = {"x_quant": 9, "encoder_quant": 10, "mean_quant": 13} | {
        f"blocks.0.{name}": width for name, width in block.items()
    }
    assert wanted.items() <= found.items()
    first = getattr(network.blocks, "0")
    linear = (network.encoder, first.mix, network.decoder)
    assert [(layer.weight_bits, layer.bias_bits) for layer in linear] == [(4, 15), (3, 15), (5, 15)]
    assert first.norm.bits == 7


def test_a_layer_before_the_mean_is_no_decoder_and_one_before_the_last_step_is():
    scheme = Scheme(bits=Bits(decoder=3, linear=4, encoder=5))
    parts = {"a": nn.Linear(3, 3), "b": nn.Linear(3, 3)}
    assert quantized(lambda m, x: m.b(m.a(x)).mean(1), parts, scheme).b.weight_bits == 4
    assert quantized(lambda m, x: m.b(m.a(x)).sum(1), parts, scheme).b.weight_bits == 4
    assert quantized(lambda m, x: m.b(m.a(x))[:, -1], parts, scheme).b.weight_bits == 3


def test_patterns_reach_biases_and_the_grids_of_single_layers():
    torch.manual_seed(0)
    batch = torch.randn(4, 20, 3)
    tensors = {
        "decoder": 3,
        "*.bias": 9,
        "decoder.bias": 7,
        "blocks.1.s4d.granularity": "head",
        "blocks.0.*.parameterisation": "polar",
    }
    found = quantize(settled(Residual(), batch), Scheme(tensors=tensors), batch)
    first, second = (getattr(found.blocks, name).s4d for name in "01")
    assert (found.decoder.weight_bits, found.decoder.bias_bits, found.encoder.bias_bits) == (3, 7, 9)
    assert first.c_quant.format.exponent.size == 1 and second.c_quant.format.exponent.size == 6
    assert type(first.a).__name__ != type(second.a).__name__


@pytest.mark.parametrize(
    "tensors, message",
    [
        ({"decoder": 1}, "decoder: .*greater than or equal to 2.*not 1"),
        ({"decoder": 25}, "decoder: .*less than or equal to 24.*not 25"),
        ({"blocks.0.s4d.c": "many"}, "blocks.0.s4d.c: .*not 'many'"),
        ({"blocks.1.s4d.parameterisation": "dense"}, "blocks.1.s4d.parameterisation: .*'discrete'"),
        ({"blocks.1.s4d.granularity": 4}, "blocks.1.s4d.granularity: .*'tensor'"),
        ({"blocks.2.*": 4}, "'blocks.2.*' is no tensor of this network; did you mean"),
    ],
)
def test_a_width_or_grid_out_of_range_is_refused_by_the_tensor(tensors, message):
    batch = torch.randn(4, 8, 3)
    with pytest.raises(SsmqError, match=f"scheme.tensors: {message}"):
        quantize(Residual().eval(), Scheme(tensors=tensors), batch)


def test_values_too_large_for_float32_are_refused_by_the_place():
    layer = nn.Linear(3, 3)
    nn.init.constant_(layer.weight, 3e38)
    with pytest.raises(SsmqError, match="^a_quant: .*not finite"):
        quantized(lambda m, x: m.b(m.a(x)), {"a": layer, "b": nn.Linear(3, 3)})


def test_a_layer_that_is_called_twice_knows_the_states_of_both_calls():
    """The second call reads 1/16 of what the first reads: its states alone would give a range 16 times too small."""
    layer = S4D(3, 2)
    once = quantized(lambda m, x: m.s(x), {"s": layer})
    both = quantized(lambda m, x: m.s(x) - m.s(x * 0.0625), {"s": layer})
    assert (both.s.state.format.exponent >= once.s.state.format.exponent - 1).all()


def test_a_layer_that_is_called_twice_is_counted_once():
    """Weights 3 x 3 of 8 bits, biases 3 of 16 and two exponents; two quantisers of an exponent each."""
    found = footprint(quantized(lambda m, x: m.a(m.a(x)), {"a": nn.Linear(3, 3)}))
    assert found.parameters * 8 == 9 * 8 + 3 * 16 + 2 * 8 + 2 * 8
    assert found.fp32_total == 4 * (9 + 3) and found.state == 0


def test_a_running_sum_is_state():
    """Codes of 8 bits over 10 steps: 12 bits a channel; as floats, 3 numbers."""
    found = footprint(quantized(lambda m, x: x.mean(1)))
    assert found.state * 8 == 3 * (8 + 4) and found.fp32_total == 4 * 3


def norm(gain, variance=1.0, bits=16) -> QuantBatchNorm1d:
    layer = nn.BatchNorm1d(len(gain), eps=0.0)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(gain))
        layer.running_var.fill_(variance)
    return QuantBatchNorm1d(layer.eval(), bits)


def test_gains_of_a_norm_keep_their_sign_and_never_become_0():
    """The largest, 1, has 16 bits at 2**-14; the least exponent is 15 below it, where the least code is 1."""
    found, _ = norm([1.0, -1e-9, -0.5, 0.0]).gain_and_offset()
    assert found.tolist() == [1.0, -(2.0**-29), -0.5, 2.0**-29]


def test_a_norm_of_zeros_only_lets_nearly_nothing_through():
    gain, offset = norm([0.0, 0.0]).gain_and_offset()
    assert 0 < gain.max() < 1e-6 and offset.tolist() == [0, 0]


def test_a_bias_of_zeros_is_trained_on_the_grid_of_its_sum():
    layer = nn.Linear(3, 3)
    nn.init.zeros_(layer.bias)
    network = quantized(lambda m, x: m.a(x), {"a": layer})
    assert network.a.bias_format.exponent == network.a.weight_format.exponent + network.x_quant.format.exponent


def test_a_frozen_norm_trains_what_is_stored():
    layer = norm([1.0, -0.3], variance=0.25, bits=4).train()
    layer.frozen = True
    y = torch.ones(2, 2, 5)
    found = layer(y)
    assert layer.running_var.tolist() == [0.25, 0.25]  # statistics stay
    # 2 in 4 bits is the code 4 of steps of 1/2, and -0.6 the code -5 of steps of 1/8.
    assert torch.equal(found[0, :, 0], torch.tensor([2.0, -0.625]))
    found.sum().backward()
    assert torch.allclose(layer.weight.grad, torch.full((2,), 2 * 5 / 0.5))  # straight through


def test_reconstruction_without_a_signal_keeps_the_weights():
    network = Called(lambda m, x: m.s(m.a(x)), {"a": nn.Linear(3, 4, bias=False), "s": S4D(4, 2)}).eval()
    batch = torch.randn(8, STEPS, 3)
    found = quantize(network, Scheme(), batch)
    before = found.s.c.detach().clone()
    assert torch.equal(reconstruct(found, network, torch.zeros_like(batch)).s.c, before)


@pytest.mark.parametrize("how", ["last", "channels first", "every step"])
def test_reconstruction_finds_the_output_layer_wherever_it_stands(how):
    """Of a layer of 24 bits on codes of 4: what is lost before it, a fit makes up for in part."""
    torch.manual_seed(0)
    layer = nn.Conv1d(6, 2, 1) if how == "channels first" else nn.Linear(6, 2)
    ends = {
        "last": lambda m, x: m.b(m.a(x))[:, -1],
        "channels first": lambda m, x: m.b(m.a(x).transpose(1, 2)),
        "every step": lambda m, x: m.b(m.a(x)),
    }
    network = Called(ends[how], {"a": nn.Linear(3, 6), "b": layer}).eval()
    batch = torch.randn(64, STEPS, 3)
    found = quantize(network, Scheme(bits=Bits(input=2, u=2, activation=2, decoder=16, encoder=2)), batch)
    with torch.no_grad():
        before = (found(batch) - network(batch)).norm()
        assert (reconstruct(found, network, batch)(batch) - network(batch)).norm() < 0.8 * before


@pytest.mark.parametrize("shape", [(4, STEPS + 1, 3), (4, STEPS, 2), (0, STEPS, 3), (STEPS, 3)])
def test_reconstruction_on_another_shape_is_refused(shape):
    network = Called(lambda m, x: m.a(x), {"a": nn.Linear(3, 3)}).eval()
    with pytest.raises(SsmqError, match=r"batch must be (\(B, 10, 3\)|a tensor \(B, T, C\))"):
        reconstruct(quantize(network, Scheme(), torch.randn(4, STEPS, 3)), network, torch.zeros(shape))


DAMAGE = {
    "a scale that is no power of two": ({}, {"x_quant": 3.0}, "power of two"),
    "steps below 1": ({"steps": 0}, {}, "description is damaged .steps"),
    "channels of another type": ({"channels": "3"}, {}, "description is damaged .channels"),
    "an unknown key": ({"more": 1}, {}, "description is damaged .more"),
    "a scheme of another width": ({"scheme": Scheme(tensors={"blocks.0.s4d.granularity": "head"}).model_dump(mode="json")}, {},
                                  "do not fit"),
    "another number of channels": ({"channels": 5}, {}, "does not fit: encoder: reads 3 channels"),
    "steps without end": ({"steps": 2**24, "channels": 2**16}, {}, "does not fit: encoder: reads 3 channels"),
    "another kind of file": ({"kind": "ssmq-checkpoint"}, {}, "not a ssmq-network"),
}  # fmt: skip


@pytest.mark.parametrize("changes, scales, message", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_is_refused_by_its_name(changes, scales, message, tmp_path):
    path, batch = tmp_path / "a.safetensors", torch.randn(4, 8, 3)
    save(path, quantize(settled(Residual(layers=1), batch), Scheme(), batch))
    with safe_open(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        content = json.loads(file.metadata()["ssmq"]) | changes
    for name in tensors:
        tensors[name] = next((torch.full_like(tensors[name], value) for part, value in scales.items()
                              if name.startswith(part)), tensors[name])  # fmt: skip
    save_file(tensors, path, metadata={"ssmq": json.dumps(content)})
    with pytest.raises(SsmqError, match=f"a.safetensors: .*{message}"):
        load(path, Residual(layers=1))
