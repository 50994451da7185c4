"""Batch norm as the graphs have it: one product and one sum a value, gain and offset stored in few bits.

With ``bits``, gain and offset are stored as codes of so many bits and an exponent of 4 bits each. ``frozen``, a norm trains
as it evaluates: statistics stay, and what is trained is what is stored (straight-through), as in Krishnamoorthi,
arXiv 1806.08342.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from .formats import Format, covering_exponent

# An exponent of batch norm's gain or offset is stored as what it lacks to the layer's largest.
NORM_EXPONENT_BITS = 4


class PositiveBatchNorm(nn.Module):
    """Batch norm over ``(B, T, H)`` with gain |γ|, so that it is monotone and folds into thresholds.

    No generality is lost: the sign of a channel can go into C and D. Evaluation is one product and one sum a value,
    in that order, which is what the exported graph does.
    """

    frozen = False
    mean: torch.Tensor
    variance: torch.Tensor

    def __init__(self, heads: int, bits: int | None = None, momentum: float = 0.05, eps: float = 1e-5):
        super().__init__()
        self.bits, self.momentum, self.eps = bits, momentum, eps
        self.weight = nn.Parameter(torch.ones(heads))
        self.bias = nn.Parameter(torch.zeros(heads))
        self.register_buffer("mean", torch.zeros(heads))
        self.register_buffer("variance", torch.ones(heads))

    def gain_and_offset(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Gain and offset ``(H)`` used in evaluation."""
        gain = self.weight.abs() / torch.sqrt(self.variance + self.eps)
        offset = self.bias - self.mean * gain
        if self.bits is None:
            return gain, offset
        return rounded(gain, self.bits, least=1), rounded(offset, self.bits)

    def forward(self, y: torch.Tensor) -> torch.Tensor:
        if self.frozen or not self.training:
            gain, offset = self.gain_and_offset()
            return torch.add(torch.mul(y, gain), offset)
        variance, mean = torch.var_mean(y, dim=(0, 1), correction=0)
        with torch.no_grad():
            self.mean.lerp_(mean, self.momentum)
            self.variance.lerp_(variance, self.momentum)
        return (y - mean) * (self.weight.abs() / torch.sqrt(variance + self.eps)) + self.bias


class QuantBatchNorm1d(nn.BatchNorm1d):
    """torch's ``BatchNorm1d`` of ``(B, C, T)`` or ``(B, C)``, the same parameters and buffers. A gain may be negative."""

    frozen = False
    # Both are there: a norm without them has no integer form.
    running_mean: torch.Tensor
    running_var: torch.Tensor

    def __init__(self, found: nn.BatchNorm1d, bits: int | None):
        super().__init__(found.num_features, found.eps, found.momentum, found.affine, found.track_running_stats)
        self.bits = bits
        self.to(found.running_var).load_state_dict(found.state_dict())
        self.train(found.training)

    def gain_and_offset(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Gain and offset ``(C)`` used in evaluation."""
        gain = 1 / torch.sqrt(self.running_var + self.eps)
        gain = gain if self.weight is None else self.weight * gain
        offset = -self.running_mean * gain
        offset = offset if self.bias is None else self.bias + offset
        if self.bits is None:
            return gain, offset
        return rounded(gain.abs(), self.bits, least=1) * torch.where(gain < 0, -1, 1), rounded(offset, self.bits)

    def forward(self, y: torch.Tensor) -> torch.Tensor:
        if self.training and not self.frozen:
            return super().forward(y)
        gain, offset = (part[:, None] if y.dim() == 3 else part for part in self.gain_and_offset())
        return torch.add(torch.mul(y, gain), offset)


def rounded(values: torch.Tensor, bits: int, least: int | None = None) -> torch.Tensor:
    """``values`` as signed codes of ``bits`` bits, at least ``least``, each with an exponent of its own.

    Channels differ: the gain of one that hardly moves is a hundred times that of another.
    """
    found = values.detach().cpu().numpy()
    exponent = covering_exponent(np.abs(found), bits, True)
    # A zero has no range and sets nobody else's.
    largest = exponent.max(where=found != 0, initial=exponent.min()) if found.any() else 1 - bits
    finest = largest - (2**NORM_EXPONENT_BITS - 1)
    exponent = np.where(found != 0, np.maximum(exponent, finest), finest)
    fmt = Format(bits, True, exponent)
    rounded = torch.from_numpy(fmt.values(np.maximum(fmt.codes(found), fmt.low if least is None else least))).to(values)
    return rounded + (values - values.detach())  # straight-through; the zero added is exact
