"""Networks of a user's own that tests quantise: one of each idea, and any that hypothesis draws."""

from __future__ import annotations

import torch
from ssmq_brevitas.s4d import S4D
from torch import nn


class ResidualBlock(nn.Module):
    """S4D, GELU, a convolution and GLU on (B, C, T), batch norm, a residual."""

    def __init__(self, heads: int, modes: int):
        super().__init__()
        self.s4d = S4D(heads, modes)
        self.activation = nn.GELU()
        self.mix = nn.Conv1d(heads, 2 * heads, 1)
        self.glu = nn.GLU(dim=1)
        self.norm = nn.BatchNorm1d(heads)
        self.dropout = nn.Dropout(0.1)

    def forward(self, u):
        y = self.activation(self.s4d(u)).transpose(1, 2)
        return u + self.dropout(self.norm(self.glu(self.mix(y)))).transpose(1, 2)


class Residual(nn.Module):
    """A classifier of sequences in the style of the published example."""

    def __init__(self, channels: int = 3, heads: int = 6, modes: int = 2, layers: int = 2, classes: int = 4):
        super().__init__()
        self.encoder = nn.Linear(channels, heads)
        self.blocks = nn.ModuleList(ResidualBlock(heads, modes) for _ in range(layers))
        self.decoder = nn.Linear(heads, classes)

    def forward(self, x):
        x = self.encoder(x)
        for block in self.blocks:
            x = block(x)
        return self.decoder(x.mean(dim=1))


def settled(network: nn.Module, batch: torch.Tensor) -> nn.Module:
    """``network`` in evaluation mode, its batch norms having seen ``batch``."""
    network.train()
    with torch.no_grad():
        for _ in range(3):
            network(batch)
    return network.eval()
