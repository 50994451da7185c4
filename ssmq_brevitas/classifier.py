"""The project's own network: encoder, blocks of S4D and mixing, pooling, decoder. A module like any other.

u --> S4D --> [batch norm] --> activation --> Linear --> value * gate --> + u --> next u
"""

from __future__ import annotations

import math

import torch
from torch import nn

from .activations import ACTIVATIONS, GATES
from .config import ModelConfig
from .norm import PositiveBatchNorm
from .s4d import S4D


class Block(nn.Module):
    """One layer, ``(B, T, H)`` to ``(B, T, H)``."""

    def __init__(self, model: ModelConfig):
        super().__init__()
        heads = model.heads
        self.ssm = S4D(heads, model.modes, model.dt_min, model.dt_max)
        self.norm = PositiveBatchNorm(heads) if model.norm == "batch" else nn.Identity()
        self.activation = ACTIVATIONS[model.activation]()
        self.linear = nn.Linear(heads, heads if model.gate == "none" else 2 * heads)
        self.gate = None if model.gate == "none" else GATES[model.gate]()

    def forward(self, u: torch.Tensor) -> torch.Tensor:
        mixed = self.linear(self.activation(self.norm(self.ssm(u))))
        if self.gate is not None:
            value, gate = mixed.chunk(2, dim=-1)
            mixed = value * self.gate(gate)
        return u + mixed


class Classifier(nn.Module):
    """Values ``(B, T, C)`` to outputs ``(B, K)``, or with ``each_step`` ``(B, T, K)``.

    Pooling sums over time and scales by the power of two nearest to 1/T, a constant shift in hardware.
    """

    def __init__(self, model: ModelConfig, each_step: bool = False):
        super().__init__()
        self.encoder = nn.Linear(model.channels, model.heads)
        with torch.no_grad():
            if model.input is None:
                # The usual normalisation of MNIST, (k/255 - 0.1307) / 0.3081, as the encoder's starting point.
                self.encoder.bias.sub_(self.encoder.weight.sum(dim=1) * (0.1307 / 0.3081))
                self.encoder.weight *= 256 / 255 / 0.3081
            else:
                # Another range is brought to about -1 .. 1.
                self.encoder.weight /= model.input.format.magnitude * 2.0**model.input.exponent
        self.blocks = nn.ModuleList(Block(model) for _ in range(model.layers))
        self.decoder = nn.Linear(model.heads, model.classes)
        self.pool_gain = None if each_step else 2.0 ** -round(math.log2(model.length))

    def forward(self, u: torch.Tensor) -> torch.Tensor:
        u = self.encoder(u)
        for block in self.blocks:
            u = block(u)
        if self.pool_gain is not None:
            u = u.sum(dim=1) * self.pool_gain
        return self.decoder(u)
