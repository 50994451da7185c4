"""Bytes: parameters, state and total, and the same count in FP32.

Every stored number at its own width: weights, biases, Ā in its parameterisation, one exponent byte for each scale
(B̄ of an equalised layer is nothing but an exponent a mode, of 4 bits, and one that they are relative to),
batch norm as its folded gain and offset (the thresholds are computed from them), the state of every layer and the
pooling sum. FP32 counts the same stored numbers (without scales) at 4 bytes.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

from .fitting import MODE_EXPONENT_BITS
from .model import Block, Classifier
from .norm import NORM_EXPONENT_BITS, PositiveBatchNorm, QuantBatchNorm1d
from .parameterisations import LogPolar, PolarGrid
from .quant_s4d import QuantS4D
from .quantizers import Quantizer

EXPONENT_BITS = 8


@dataclass(frozen=True)
class Footprint:
    """Bytes. ``total = parameters + state``; ``fp32_total`` is the float model by the same count."""

    parameters: float
    state: float
    total: float
    fp32_total: float

    @property
    def saved(self) -> float:
        """Share of the FP32 total that is saved."""
        return 1 - self.total / self.fp32_total

    def as_dict(self) -> dict[str, float]:
        return asdict(self)


def footprint(model: Classifier) -> Footprint:
    """Count ``model``, float or quantised."""
    floats = _float_numbers(model)
    pooled = 0 if model.task.each_step else model.model.heads
    state_numbers = 2 * model.model.heads * model.model.modes * model.model.layers + pooled
    fp32 = 4.0 * (floats + state_numbers)
    if not model.quantized:
        return Footprint(4.0 * floats, 4.0 * state_numbers, fp32, fp32)
    bits = linear_bits(model.encoder) + linear_bits(model.decoder) + _scale_bits(model.quantizers)
    state = 0
    for block in model.blocks:
        bits += _block_bits(block)
        state += 2 * block.ssm.heads * block.ssm.modes * block.ssm.state.bits
    last = model.blocks[-1].quantizers["u"]
    state += pooled * (last.bits + math.ceil(math.log2(model.model.length)))
    parameters = bits / 8
    return Footprint(parameters, state / 8, parameters + state / 8, fp32)


def _float_numbers(model: Classifier) -> int:
    """Stored numbers of the float model as the paper counts them: A, B, C (complex), D, Δ, linear layers, norms."""
    m = model.model
    ssm = m.heads * m.modes * 6 + 2 * m.heads
    outputs = m.heads if m.gate == "none" else 2 * m.heads
    norm = 2 * m.heads if m.norm == "batch" else 0
    layer = ssm + (m.heads + 1) * outputs + norm
    return (m.channels + 1) * m.heads + m.layers * layer + (m.heads + 1) * m.classes


def linear_bits(layer) -> int:
    """Of a quantised linear layer: weight, bias and their exponents."""
    scales = layer.weight_power.scale.numel() + (0 if layer.bias_bits is None else layer.bias_power.scale.numel())
    bias = 0 if layer.bias_bits is None else layer.bias.numel() * layer.bias_bits
    return layer.weight.numel() * layer.weight_bits + bias + scales * EXPONENT_BITS


def norm_bits(norm: PositiveBatchNorm | QuantBatchNorm1d) -> int:
    """Of a batch norm as it is stored: gain and offset."""
    return 2 * (len(norm.gain_and_offset()[0]) * (norm.bits + NORM_EXPONENT_BITS) + EXPONENT_BITS)


def s4d_bits(ssm: QuantS4D) -> int:
    """Of a quantised S4D layer: Ā, B̄, C, D and their exponents, that of the state among them."""
    modes = ssm.heads * ssm.modes
    b_bits = MODE_EXPONENT_BITS if ssm.equalised else 2 * ssm.b_quant.bits
    scales = sum(q.scale.numel() for q in (ssm.c_quant, ssm.d_quant, ssm.state, ssm.a.cartesian))
    scales += 1 if ssm.equalised else ssm.b_quant.scale.numel()
    if isinstance(ssm.a, PolarGrid):
        scales += ssm.a.phase_power.scale.numel()
    ends = 64 if isinstance(ssm.a, LogPolar) else 0
    stored = modes * (ssm.a.stored_bits() + b_bits + 2 * ssm.c_quant.bits) + ssm.heads * ssm.d_quant.bits
    return stored + EXPONENT_BITS * scales + ends


def _scale_bits(quantizers) -> int:
    return EXPONENT_BITS * sum(isinstance(quantizer, Quantizer) for quantizer in quantizers.values())


def _block_bits(block: Block) -> int:
    norm = norm_bits(block.norm) if isinstance(block.norm, PositiveBatchNorm) else 0
    return s4d_bits(block.ssm) + norm + linear_bits(block.linear) + _scale_bits(block.quantizers)
