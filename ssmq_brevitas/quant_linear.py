"""Brevitas' ``QuantLinear`` and ``QuantConv1d`` with one power of two for the weight and one of its own for the bias."""

from __future__ import annotations

import brevitas.nn as qnn
import torch
from brevitas.nn.quant_layer import QuantWeightBiasInputOutputLayer
from brevitas.quant import Int8Bias, Int8WeightPerTensorFloat
from torch import nn

from .formats import Format
from .quantizers import PowerOfTwoScale, UnitIntScale


def _quantizers(weight_bits: int, bias_bits: int | None) -> dict:
    weight = Int8WeightPerTensorFloat.let(
        scaling_impl=PowerOfTwoScale(), int_scaling_impl=UnitIntScale(), bit_width=weight_bits, narrow_range=False
    )
    bias = Int8Bias.let(
        scaling_impl=PowerOfTwoScale(),
        int_scaling_impl=UnitIntScale(),
        bit_width=bias_bits,
        requires_input_scale=False,
        requires_input_bit_width=False,
    )
    return {"weight_quant": weight, "bias_quant": None if bias_bits is None else bias, "return_quant_tensor": False}


class OnGrids(QuantWeightBiasInputOutputLayer):
    """What both layers have: formats that can be read, and parameters on their grids."""

    weight: nn.Parameter
    bias: nn.Parameter | None

    weight_bits: int
    bias_bits: int | None

    @property
    def weight_power(self) -> PowerOfTwoScale:
        return self.weight_quant.tensor_quant.scaling_impl

    @property
    def bias_power(self) -> PowerOfTwoScale:
        return self.bias_quant.tensor_quant.scaling_impl

    @property
    def weight_format(self) -> Format:
        """Its exponent is one number, or one an output ``(out,)``."""
        exponent = self.weight_power.exponent
        return Format(self.weight_bits, True, exponent.reshape(-1) if exponent.ndim else exponent)

    @property
    def bias_format(self) -> Format | None:
        """None of a layer without a bias."""
        return None if self.bias_bits is None else Format(self.bias_bits, True, self.bias_power.exponent)

    @property
    def matrix(self) -> torch.Tensor:
        """The weight ``(out, in)`` on its grid."""
        return self.quant_weight().value.flatten(1)


class QuantLinear(OnGrids, qnn.QuantLinear):
    """Weight ``(out, in)`` of ``weight_bits``, bias of ``bias_bits``; None for a layer without one."""

    def __init__(self, inputs: int, outputs: int, weight_bits: int, bias_bits: int | None):
        super().__init__(inputs, outputs, bias=bias_bits is not None, **_quantizers(weight_bits, bias_bits))
        self.weight_bits, self.bias_bits = weight_bits, bias_bits


class QuantConv1d(OnGrids, qnn.QuantConv1d):
    """Of kernel 1: a linear layer over the channels of ``(B, C, T)``, weight ``(out, in, 1)``."""

    def __init__(self, inputs: int, outputs: int, weight_bits: int, bias_bits: int | None):
        super().__init__(inputs, outputs, 1, bias=bias_bits is not None, **_quantizers(weight_bits, bias_bits))
        self.weight_bits, self.bias_bits = weight_bits, bias_bits
