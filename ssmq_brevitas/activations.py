"""The elementwise functions between two quantised tensors.

The hard forms use constants with few bits, so that float32 evaluates them exactly on power-of-two grids and every
engine agrees on them. Monotone functions lower to thresholds, the others to a table (design: the integer contract).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F


class HardSigmoid(nn.Module):
    """``clip(slope x + 1/2, 0, 1)``; the slope 1/4 is the sigmoid's tangent at 0, 1/6 is torch's ``nn.Hardsigmoid``."""

    def __init__(self, slope: float = 0.25):
        super().__init__()
        self.slope = slope

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.clamp(x * self.slope + 0.5, 0.0, 1.0)


class HardGELU(HardSigmoid):
    """``y * clip(slope y + 1/2, 0, 1)``: GELU with the sigmoid of ``1.702 y`` replaced by a line of slope 3/8.

    A slope of 1/6 is torch's ``nn.Hardswish``.
    """

    def __init__(self, slope: float = 0.375):
        super().__init__(slope)

    def forward(self, y: torch.Tensor) -> torch.Tensor:
        return y * super().forward(y)


class Sigmoid(nn.Module):
    """The sigmoid, in double precision when evaluating.

    Single-precision sigmoids of different libraries differ in the last place, which is enough to move a code that
    falls next to a rounding tie; double-precision ones agree far beyond the spacing of any accumulator.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(x) if self.training else torch.sigmoid(x.double()).to(x.dtype)


class Tanh(nn.Module):
    """The hyperbolic tangent, in double precision when evaluating (see Sigmoid)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(x) if self.training else torch.tanh(x.double()).to(x.dtype)


class Quotient(nn.Module):
    """``x`` divided by one number, rounded once: a product with the inverse of the number would round twice."""

    def __init__(self, divisor: float):
        super().__init__()
        self.divisor = divisor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x / self.divisor


class Table(nn.Module):
    """Any ``function`` of codes, as the network that it comes from evaluates it: exported as its value at every code."""

    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor]):
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # Of a transposed tensor torch takes other instructions, with other last places.
        return self.function(x.contiguous())


class SiLU(nn.Module):
    """``y / (1 + exp(-y))``, in double precision when evaluating (see Sigmoid)."""

    def forward(self, y: torch.Tensor) -> torch.Tensor:
        return F.silu(y) if self.training else F.silu(y.double()).to(y.dtype)


class GELU(nn.Module):
    """The exact GELU ``y (1 + erf(y / sqrt 2)) / 2``, in double precision when evaluating (see Sigmoid)."""

    def forward(self, y: torch.Tensor) -> torch.Tensor:
        return F.gelu(y) if self.training else F.gelu(y.double()).to(y.dtype)


ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "gelu": GELU, "hard_gelu": HardGELU}
GATES: dict[str, type[nn.Module]] = {"sigmoid": Sigmoid, "hard_sigmoid": HardSigmoid}
MONOTONE = frozenset({"relu", "sigmoid", "hard_sigmoid"})
