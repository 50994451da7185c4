"""Statistics of float values over whole sequences: samples of a tensor, and the states of an S4D layer."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

SAMPLES_A_BATCH = 200_000
STATE_STEPS = 24


class Observer(nn.Module):
    """Keeps an even sub-sample of what passes, and the extremes in full."""

    def __init__(self):
        super().__init__()
        self.samples: list[np.ndarray] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        flat = x.detach().flatten()
        stride = max(1, flat.numel() // SAMPLES_A_BATCH)
        while math.gcd(stride, x.shape[-1]) > 1:  # else only some of the channels would be seen
            stride += 1
        self.samples.append(torch.cat([flat[::stride], flat.aminmax().min[None], flat.aminmax().max[None]]).numpy())
        return x


@dataclass(frozen=True)
class StateStatistics:
    """``largest`` ``(H, N)``: largest |re| or |im| of each state; ``samples`` ``(H, N, S)`` of both parts."""

    largest: np.ndarray
    samples: np.ndarray


def state_statistics(a: torch.Tensor, b: torch.Tensor, u: torch.Tensor) -> StateStatistics:
    """States of a float recurrence, Ā and B̄ complex ``(H, N)``, for the input ``u`` ``(B, T, H)``, from whole sequences."""
    a, b = a.detach(), b.detach()
    x = torch.zeros(u.shape[0], *a.shape, dtype=a.dtype)
    largest = torch.zeros(a.shape)
    kept = []
    every = max(1, u.shape[1] // STATE_STEPS)
    for t in range(u.shape[1]):
        x = a * x + b * u[:, t, :, None]
        parts = torch.view_as_real(x)  # (B H N 2)
        largest = torch.maximum(largest, parts.abs().amax(dim=(0, 3)))
        if t % every == every - 1 or t == u.shape[1] - 1:
            kept.append(parts)
    samples = torch.stack(kept).permute(2, 3, 0, 1, 4).flatten(2)  # (H N S)
    return StateStatistics(largest.numpy(), samples.numpy())
