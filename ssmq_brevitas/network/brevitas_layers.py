"""Layers of Brevitas as layers of this package, one idea each.

A weight and a bias are what the layer computed with when it was run: constants on a grid, however they came there.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from brevitas.nn.mixin import QuantLayerMixin
from brevitas.nn.quant_layer import QuantNonLinearActLayer, QuantWeightBiasInputOutputLayer
from brevitas.quant_tensor import IntQuantTensor, QuantTensor
from torch import nn

from ..bounds import signed_bits
from ..errors import SsmqError
from ..formats import Format
from ..quant_linear import QuantConv1d, QuantLinear
from ..quant_s4d import QuantS4D
from ..quantizers import PowerOfTwoScale, Quantizer
from .brevitas_quantizers import activation_format, exponents
from .exact_functions import INEXACT, evaluated

# A float bias is taken as it is where its values need no more bits than this.
FLOAT_BIAS_BITS = 16


class Seen:
    """The weights and biases that the layers of ``network`` compute with when it runs, by the layer's path."""

    def __init__(self, network: nn.Module):
        self.given: dict[str, tuple] = {}
        for path, layer in network.named_modules():
            if isinstance(layer, QuantWeightBiasInputOutputLayer):
                layer.inner_forward_impl = self._kept(path, layer.inner_forward_impl)

    def _kept(self, path: str, compute):
        def keep(given, weight, bias):
            before = self.given.setdefault(path, (weight, bias))
            if bias is not None and not torch.equal(plain(before[1]), plain(bias)):
                raise SsmqError(
                    f"{path}: its bias takes other values when it is called again, on another grid: set "
                    f"bias_quant=Int8BiasPerTensorFixedPointInternalScaling, or use two layers"
                )
            return compute(given, weight, bias)

        return keep


def plain(value: torch.Tensor | QuantTensor) -> torch.Tensor:
    return value.value if isinstance(value, QuantTensor) else value


def parts(path: str, layer: nn.Module, seen: Seen, double: bool) -> list[tuple[str, nn.Module]]:
    """``layer`` as modules to be called one after the other, each with what its path is to end in.

    ``double``: the network computes in float64. Raises SsmqError naming the layer and the option of Brevitas to set.
    """
    if isinstance(layer, QuantS4D):
        return _s4d(path, layer, double)
    if isinstance(layer, QuantNonLinearActLayer):
        return [*_act(path, layer, "input", double), *_act(path, layer, "act", double)]
    return [*_act(path, layer, "input", double), ("", _linear(path, layer, seen)), *_act(path, layer, "output", double)]


def sum_parts(path: str, layer: QuantLayerMixin, double: bool) -> tuple[list[tuple[str, nn.Module]], ...]:
    """Of a sum that quantises: what each of its terms goes through, and what their sum does."""
    return _act(path, layer, "input", double), _act(path, layer, "output", double)


def known(layer: nn.Module) -> bool:
    """Whether ``parts`` knows what ``layer`` is."""
    linear = isinstance(layer, QuantWeightBiasInputOutputLayer) and isinstance(layer, (nn.Linear, nn.Conv1d))
    return linear or isinstance(layer, (QuantNonLinearActLayer, QuantS4D))


def _s4d(path: str, layer: QuantS4D, double: bool) -> list[tuple[str, nn.Module]]:
    """The layer itself, of exact sums, and what it quantises its output by."""
    output, layer.output_quant = layer.output_quant, None
    found = [] if output is None else _act(f"{path}.output_quant", output, "act", double)
    return [("", layer), *((f"_output_quant{suffix}", module) for suffix, module in found)]


def _act(path: str, layer: QuantLayerMixin, what: str, double: bool) -> list[tuple[str, nn.Module]]:
    """The function and the quantiser of one of the layer's activation quantisers."""
    proxy = getattr(layer, f"{what}_quant")
    fused = proxy.fused_activation_quant_proxy
    if fused is None:
        return []
    found: list[tuple[str, nn.Module]] = []
    function = fused.activation_impl
    suffix = "" if what == "act" else f"_{what}_quant"
    if isinstance(function, (*INEXACT, nn.ReLU, nn.Hardtanh)):
        named = "_function" if proxy.is_quant_enabled else ""
        found.append((named, evaluated(function, double) if isinstance(function, INEXACT) else function))
    if proxy.is_quant_enabled:
        fmt, low = activation_format(f"{path} ({type(layer).__name__})", what, proxy)
        if low != fmt.low:  # a narrow range is a clip in front of the whole one
            least, most = (math.ldexp(code, int(fmt.exponent)) for code in (low, fmt.high))
            found.append((f"{suffix}_clip", nn.Hardtanh(least, most)))
        quantizer = Quantizer(fmt.bits, fmt.signed)
        quantizer.power.set_exponent(fmt.exponent)
        found.append((suffix, quantizer))
    return found


def _linear(path: str, layer: QuantWeightBiasInputOutputLayer, seen: Seen) -> nn.Module:
    name = f"{path} ({type(layer).__name__})"
    given, given_bias = seen.given[path]
    if not isinstance(given, IntQuantTensor):
        raise SsmqError(f"{name}: its weight is not quantised to integers: set weight_quant=Int8WeightPerTensorFixedPoint")
    values, fmt = _constant(name, "weight", given)
    fmt = Format(max(fmt.bits, math.ceil(given.bit_width.item())), True, fmt.exponent)
    bias = None if given_bias is None else _bias(name, given_bias)
    kind = QuantConv1d if isinstance(layer, nn.Conv1d) else QuantLinear
    outputs, inputs = values.shape[:2]
    new = kind(inputs, outputs, fmt.bits, None if bias is None else bias[1].bits)
    _put(new.weight_power, fmt.exponent, values.dim())
    new.weight.data = values
    if bias is not None:
        _put(new.bias_power, bias[1].exponent, 1)
        assert new.bias is not None
        new.bias.data = bias[0]
    return new


def _put(power: PowerOfTwoScale, exponent: np.ndarray, dims: int) -> None:
    """One exponent for all, or one an output, the first of ``dims`` axes."""
    power.scale = torch.ones(exponent.shape + (1,) * (dims - 1) if exponent.ndim else ())
    power.set_exponent(exponent.reshape(power.scale.shape))


def _bias(name: str, given: torch.Tensor | IntQuantTensor) -> tuple[torch.Tensor, Format]:
    if isinstance(given, IntQuantTensor):
        return _constant(name, "bias", given)
    values = given.detach()
    mantissa, exponent = np.frexp(values.double().numpy())
    whole = np.ldexp(mantissa, 53).astype(np.int64)
    trailing = np.log2((whole & -whole).astype(np.float64), where=whole != 0, out=np.zeros(whole.shape))
    finest = np.min(exponent - 53 + trailing, where=whole != 0, initial=0).astype(np.int64)
    codes = np.ldexp(values.double().numpy(), -finest)
    bits = signed_bits(int(codes.min()), int(codes.max()))
    if bits > FLOAT_BIAS_BITS:
        raise SsmqError(
            f"{name}: its bias is not quantised, its values need {bits} bits: set "
            f"bias_quant=Int8BiasPerTensorFixedPointInternalScaling, or Int32Bias behind a layer with return_quant_tensor=True"
        )
    return values, Format(max(bits, 2), True, finest)


def _constant(name: str, what: str, given: IntQuantTensor) -> tuple[torch.Tensor, Format]:
    """Values of a parameter and the narrowest format that holds them on the grid of their quantiser."""
    values = given.value.detach()
    exponent = exponents(name, what, given.scale, f"{what}_")
    if exponent.ndim and exponent.shape != values.shape[:1]:
        raise SsmqError(
            f"{name}: its {what} has a scale for each of {exponent.size} parts: one for all, or one an output, can be exported"
        )
    codes = np.ldexp(values.double().numpy(), -exponent.reshape(exponent.shape + (1,) * (values.dim() - 1)))
    if np.any(codes != np.rint(codes)):
        raise SsmqError(f"{name}: its {what} does not lie on the grid of its quantiser: run it once in evaluation mode")
    return values, Format(max(2, signed_bits(min(0, int(codes.min())), int(codes.max()))), True, exponent)
