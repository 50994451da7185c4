"""Bytes: parameters, state and total, and the same count in FP32.

Every stored number at its own width: weights, biases, Ā in its parameterisation, one exponent byte for each scale
(B̄ of an equalised layer is nothing but an exponent a mode, of 4 bits, and one that they are relative to),
batch norm as its folded gain and offset (the thresholds are computed from them), the state of every layer and the
pooling sum. FP32 counts the same stored numbers (without scales) at 4 bytes.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from .fitting import MODE_EXPONENT_BITS
from .norm import NORM_EXPONENT_BITS, PositiveBatchNorm, QuantBatchNorm1d
from .parameterisations import LogPolar, PolarGrid
from .quant_linear import OnGrids
from .quant_s4d import QuantS4D

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
        """The four numbers by name."""
        return asdict(self)


def linear_bits(layer: OnGrids) -> int:
    """Of a quantised linear layer: weight, bias and their exponents."""
    scales = layer.weight_power.scale.numel() + (0 if layer.bias_bits is None else layer.bias_power.scale.numel())
    bias = 0 if layer.bias is None or layer.bias_bits is None else layer.bias.numel() * layer.bias_bits
    return layer.weight.numel() * layer.weight_bits + bias + scales * EXPONENT_BITS


def norm_bits(norm: PositiveBatchNorm | QuantBatchNorm1d) -> int:
    """Of a batch norm as it is stored: gain and offset."""
    assert norm.bits is not None
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
