"""The elementwise functions between two quantised tensors.

The hard forms use constants with few bits, so that float32 evaluates them exactly on power-of-two grids and every
engine agrees on them. Monotone functions lower to thresholds, the others to a table (design: the integer contract).
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


class HardGELU(nn.Module):
    """``y * clip(3/8 y + 1/2, 0, 1)``: GELU with the sigmoid of ``1.702 y`` replaced by a line of slope 3/8."""

    def forward(self, y: torch.Tensor) -> torch.Tensor:
        return y * torch.clamp(y * 0.375 + 0.5, 0.0, 1.0)


class HardSigmoid(nn.Module):
    """``clip(x / 4 + 1/2, 0, 1)``: the sigmoid's tangent at 0."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.clamp(x * 0.25 + 0.5, 0.0, 1.0)


class Sigmoid(nn.Module):
    """The sigmoid, in double precision when evaluating.

    Single-precision sigmoids of different libraries differ in the last place, which is enough to move a code that
    falls next to a rounding tie; double-precision ones agree far beyond the spacing of any accumulator.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(x) if self.training else torch.sigmoid(x.double()).to(x.dtype)


class GELU(nn.Module):
    """The exact GELU ``y (1 + erf(y / sqrt 2)) / 2``, in double precision when evaluating (see Sigmoid)."""

    def forward(self, y: torch.Tensor) -> torch.Tensor:
        return F.gelu(y) if self.training else F.gelu(y.double()).to(y.dtype)


ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "gelu": GELU, "hard_gelu": HardGELU}
GATES: dict[str, type[nn.Module]] = {"sigmoid": Sigmoid, "hard_sigmoid": HardSigmoid}
MONOTONE = frozenset({"relu", "sigmoid", "hard_sigmoid"})
