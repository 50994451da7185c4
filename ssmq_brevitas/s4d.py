"""S4D: the diagonal state-space layer in floating point, in two modes that agree.

    x_t = Ā x_{t-1} + B̄ u_t          x complex, N modes a head, x_0 before the first step is 0
    y_t = 2 Re(C x_t) + D u_t

with A = -exp(log_a_re) + i a_im, discretised by zero-order hold: Ā = exp(Δ A), B̄ = (Ā - 1) / A (B = 1).
Source: Gu et al., "On the Parameterization and Initialization of Diagonal State Space Models", arXiv 2206.11893
(initialisation S4D-Lin: A_n = -1/2 + iπn).
"""

from __future__ import annotations

import math

import torch
from torch import nn

from .scan.reference import reference_scan


class DynamicsParameter(nn.Parameter):
    """A parameter that moves the dynamics: it is trained at ``learning_rate_a`` and does not decay, as in S4.

    A type, since copies of a parameter keep it and lose attributes.
    """


class S4D(nn.Module):
    """Float S4D layer: ``(B, T, H)`` to ``(B, T, H)``.

    ``heads`` H is the number of channels, ``modes`` N the number of conjugate pairs a head. ``mode`` is
    ``"convolution"`` (FFT, for training) or ``"recurrence"`` (step by step, what the quantised layer does).
    """

    def __init__(self, heads: int, modes: int, dt_min: float = 1e-3, dt_max: float = 1e-1):
        super().__init__()
        self.heads, self.modes = heads, modes
        self.mode = "convolution"
        log_dt = torch.rand(heads) * (math.log(dt_max) - math.log(dt_min)) + math.log(dt_min)
        self.log_dt = DynamicsParameter(log_dt)  # (H)
        self.log_a_re = DynamicsParameter(torch.full((heads, modes), math.log(0.5)))  # (H N)
        self.a_im = DynamicsParameter(math.pi * torch.arange(modes).float().repeat(heads, 1))  # (H N)
        self.c = nn.Parameter(torch.randn(heads, modes, 2) * math.sqrt(0.5))  # (H N 2)
        self.d = nn.Parameter(torch.randn(heads))  # (H)

    def continuous(self) -> tuple[torch.Tensor, torch.Tensor]:
        """A (complex, H N) and Δ A (complex, H N)."""
        a = torch.complex(-torch.exp(self.log_a_re), self.a_im)
        return a, a * torch.exp(self.log_dt)[:, None]

    def discrete(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Ā, B̄ and C, complex ``(H, N)``."""
        a, dt_a = self.continuous()
        a_bar = torch.exp(dt_a)
        return a_bar, (a_bar - 1) / a, torch.view_as_complex(self.c)

    def kernel(self, length: int) -> torch.Tensor:
        """Convolution kernel ``(H, T)``: K_t = 2 Re(sum_n C_n B̄_n Ā_n^t)."""
        _, dt_a = self.continuous()
        _, b, c = self.discrete()
        powers = torch.exp(dt_a[..., None] * torch.arange(length, device=dt_a.device))  # (H N T)
        return 2 * torch.einsum("hn,hnt->ht", b * c, powers).real

    def forward(self, u: torch.Tensor) -> torch.Tensor:
        if self.mode == "convolution":
            length = u.shape[1]
            k_f = torch.fft.rfft(self.kernel(length), n=2 * length)  # (H F)
            u_f = torch.fft.rfft(u.transpose(1, 2), n=2 * length)  # (B H F)
            y = torch.fft.irfft(u_f * k_f, n=2 * length)[..., :length]  # (B H T)
            return y.transpose(1, 2) + self.d * u
        a, b, c = self.discrete()
        return reference_scan(u, a.real, a.imag, b.real, b.imag, c.real, c.imag, self.d, lambda x: x)
