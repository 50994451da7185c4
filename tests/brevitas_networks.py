"""Networks written with Brevitas' own layers: one of a user's, and any that hypothesis draws."""

from __future__ import annotations

import brevitas.nn as qnn
import numpy as np
import torch
from brevitas.inject.enum import RestrictValueType
from brevitas.quant import (
    Int8ActPerTensorFixedPoint,
    Int8ActPerTensorFloat,
    Int8BiasPerTensorFixedPointInternalScaling,
    Int8WeightPerTensorFixedPoint,
    Int32Bias,
    Uint8ActPerTensorFixedPoint,
)
from brevitas.quant.fixed_point import Int8WeightPerChannelFixedPoint
from hypothesis import strategies as st
from ssmq_brevitas.errors import SsmqError
from ssmq_brevitas.quant_s4d import QuantS4D
from torch import nn

SIGNED, UNSIGNED = Int8ActPerTensorFixedPoint, Uint8ActPerTensorFixedPoint
GRIDS = {"weight_quant": Int8WeightPerTensorFixedPoint, "bias_quant": Int8BiasPerTensorFixedPointInternalScaling}


def codes_of(count: int, steps: int, channels: int, low: int = 0, high: int = 255) -> np.ndarray:
    """Codes of an input: noise, and sequences of the least and the greatest; uint8 where they fit."""
    codes = np.random.default_rng(0).integers(low, high + 1, (count, steps, channels))
    codes[0], codes[1] = low, high
    return codes.astype(np.uint8 if low >= 0 and high < 256 else np.int32)


class Detector(nn.Module):
    """Sigmoid gates, a residual and S4D: one output a sequence."""

    def __init__(self, heads: int = 5, modes: int = 3, **options):
        super().__init__()
        self.sensor = qnn.QuantIdentity(act_quant=UNSIGNED, return_quant_tensor=True)
        self.encoder = qnn.QuantLinear(2, heads, weight_quant=Int8WeightPerTensorFixedPoint, bias_quant=Int32Bias)
        self.u = qnn.QuantHardTanh(act_quant=SIGNED, max_val=4.0, min_val=-4.0, return_quant_tensor=True)
        self.s4d = QuantS4D(heads, modes, c_bit_width=6, d_bit_width=6, **options)
        self.relu = qnn.QuantReLU(act_quant=UNSIGNED, bit_width=6)
        self.mix = qnn.QuantConv1d(heads, heads, 1, **GRIDS, weight_bit_width=5, output_quant=SIGNED)
        self.before = qnn.QuantIdentity(act_quant=SIGNED, bit_width=5)
        self.gate = qnn.QuantSigmoid(act_quant=UNSIGNED)
        self.sum = qnn.QuantIdentity(act_quant=SIGNED)
        self.pool = qnn.QuantIdentity(act_quant=SIGNED)
        self.head = qnn.QuantLinear(heads, 3, **GRIDS)

    def forward(self, x):
        u = self.u(self.encoder(self.sensor(x)))
        y = self.relu(self.s4d(u))
        y = self.mix(y.transpose(1, 2)).transpose(1, 2) * self.gate(self.before(y))
        return self.head(self.pool(self.sum(u + y).mean(dim=1)))


class Joined(nn.Module):
    """Two branches of one value, joined and quantised."""

    def __init__(self, how: str, branches: list[nn.Module], quantizer: nn.Module, add: nn.Module | None):
        super().__init__()
        self.how, self.branches, self.quantizer, self.add = how, nn.ModuleList(branches), quantizer, add

    def forward(self, x):
        left, right = (branch(x) for branch in self.branches)
        if self.add is not None:
            return self.quantizer(self.add(left, right))
        return self.quantizer(left * right if self.how == "mul" else left + right if self.how == "add" else left - right)


class Turned(nn.Module):
    """A layer that works on (B, C, T)."""

    def __init__(self, layer: nn.Module):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(x.transpose(1, 2)).transpose(1, 2)


class Drawn(nn.Module):
    """A sensor, layers over time, the mean, the sum, the last step or every step, a head."""

    def __init__(self, sensor: nn.Module, layers: list[nn.Module], ending: str, tail: list[nn.Module]):
        super().__init__()
        self.sensor, self.layers, self.ending, self.tail = sensor, nn.Sequential(*layers), ending, nn.Sequential(*tail)

    def forward(self, x):
        x = self.layers(self.sensor(x))
        if self.ending in ("last", "steps"):
            return self.tail(x[:, -1] if self.ending == "last" else x)
        return self.tail(torch.sum(x, 1) if self.ending == "sum" else torch.mean(x, 1))


def _bits(draw) -> int:
    return draw(st.integers(2, 8))


def _quantizer(draw, kind: str | None = None) -> nn.Module:
    """Of any kind that is drawn; one in forty has a scale that is no power of two, one in forty is missing."""
    fault = draw(st.sampled_from([*[""] * 38, "missing", "float"]))
    if fault == "missing" and kind is None:
        return nn.Identity()
    kind = kind or draw(st.sampled_from(["identity", "identity", "relu", "hardtanh"]))
    grid = {"bit_width": _bits(draw), "return_quant_tensor": draw(st.booleans())}
    if draw(st.booleans()):
        grid |= {"scaling_impl_type": "const", "scaling_init": draw(st.sampled_from([0.5, 1.0, 2.0, 4.0]))}
    signed = Int8ActPerTensorFloat.let(restrict_scaling_type=RestrictValueType.FP) if fault == "float" else SIGNED
    if kind == "identity":
        return qnn.QuantIdentity(act_quant=signed, narrow_range=draw(st.booleans()), **grid)
    if kind == "relu":
        return qnn.QuantReLU(act_quant=UNSIGNED, **grid)
    if kind == "hardtanh":
        return qnn.QuantHardTanh(act_quant=signed, min_val=-2.0, max_val=2.0, **grid)
    return qnn.QuantSigmoid(act_quant=UNSIGNED, **grid) if kind == "sigmoid" else qnn.QuantTanh(act_quant=signed, **grid)


def _linear(draw, inputs: int, outputs: int, convolution: bool = False) -> nn.Module:
    weight = draw(st.sampled_from([Int8WeightPerTensorFixedPoint, Int8WeightPerChannelFixedPoint]))
    bias = draw(st.sampled_from([None, Int8BiasPerTensorFixedPointInternalScaling, Int32Bias]))
    options = {"weight_quant": weight, "weight_bit_width": _bits(draw), "bias": bias is not None, "bias_quant": bias}
    if bias is Int32Bias:
        # Its grid is that of the input, which the layer itself quantises.
        options |= {"input_quant": SIGNED, "input_bit_width": _bits(draw)}
    return qnn.QuantConv1d(inputs, outputs, 1, **options) if convolution else qnn.QuantLinear(inputs, outputs, **options)


def _part(draw, heads: int, depth: int) -> nn.Module:
    """From codes of ``heads`` channels to codes of as many."""
    kind = draw(st.sampled_from(["linear", "convolution", "function", "s4d", *(["joined", "residual"] if depth else [])]))
    if kind == "linear":
        return nn.Sequential(_linear(draw, heads, heads), _quantizer(draw))
    if kind == "convolution":
        return nn.Sequential(Turned(_linear(draw, heads, heads, convolution=True)), _quantizer(draw))
    if kind == "function":
        name = draw(st.sampled_from(["sigmoid", "tanh"]))
        return nn.Sequential(_quantizer(draw, "identity"), _quantizer(draw, name))
    if kind == "s4d":
        widths = {f"{tensor}_bit_width": _bits(draw) for tensor in ("a", "b", "c", "d", "state")}
        output = {"output_quant": SIGNED, "return_quant_tensor": draw(st.booleans())} if draw(st.booleans()) else {}
        return nn.Sequential(
            _quantizer(draw, "identity"), QuantS4D(heads, draw(st.integers(1, 3)), **widths, **output), _quantizer(draw)
        )
    how = draw(st.sampled_from(["add", "sub", "mul", "layer"]))
    grids = {"input_quant": draw(st.sampled_from([None, SIGNED])), "output_quant": draw(st.sampled_from([None, SIGNED]))}
    add = qnn.QuantEltwiseAdd(**grids, input_bit_width=_bits(draw), output_bit_width=_bits(draw)) if how == "layer" else None
    first = _quantizer(draw, "identity") if kind == "residual" else _part(draw, heads, depth - 1)
    return Joined(how, [first, _part(draw, heads, depth - 1)], _quantizer(draw), add)


@st.composite
def networks(draw) -> tuple[nn.Module, torch.Tensor]:
    """A network in evaluation mode that has run once in training mode, and sequences ``(B, T, C)`` of its input."""
    torch.manual_seed(draw(st.integers(0, 2**31)))
    channels, heads = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    options = {"scaling_impl_type": "const", "scaling_init": 1.0, "bit_width": draw(st.integers(2, 10))}
    quantizer = draw(st.sampled_from([UNSIGNED, SIGNED]))
    sensor = qnn.QuantIdentity(act_quant=quantizer, return_quant_tensor=draw(st.booleans()), **options)
    layers = [
        _linear(draw, channels, heads),
        _quantizer(draw),
        *(_part(draw, heads, 1) for _ in range(draw(st.integers(0, 3)))),
    ]
    tail = [_quantizer(draw), _linear(draw, heads, draw(st.integers(1, 3)))][: draw(st.integers(1, 2))]
    network = Drawn(sensor, layers, draw(st.sampled_from(["mean", "sum", "last", "steps"])), tail)
    if network.ending == "last":  # a QuantTensor cannot be indexed
        for module in network.modules():
            module.return_quant_tensor = False
    x = torch.rand(4, draw(st.integers(2, 9)), channels) * 2 - (1 if quantizer is SIGNED else 0)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.dim() == 1:
                parameter.copy_(torch.randn_like(parameter) / 4)
        try:
            network.train()(x)
        except (RuntimeError, SsmqError):  # for tensors that a layer cannot join or take: such a network is refused
            pass
    return network.eval(), x
