"""Layers with the parameters of state-spaces/s4, written from their formulas: the original that a conversion must equal.

The convolution is a plain sum over the past, so that nothing of ours is tested against itself.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F

INVERSE = {
    "exp": torch.log,
    "none": lambda x: x,
    "relu": lambda x: x - 1e-4,
    "sigmoid": torch.logit,
    "softplus": lambda x: torch.log(torch.expm1(x)),
}
FORWARD = {
    "exp": torch.exp,
    "none": lambda x: x,
    "relu": lambda x: F.relu(x) + 1e-4,
    "sigmoid": torch.sigmoid,
    "softplus": F.softplus,
}


def kernel_of(weights: torch.Tensor, log_powers: torch.Tensor, steps: int) -> torch.Tensor:
    """2 Re sum_n weights_n exp(log_powers_n t): (..., N) to (..., T)."""
    time = torch.arange(steps, device=weights.device)
    return 2 * (weights[..., None] * torch.exp(log_powers[..., None] * time)).sum(-2).real


def causal(kernel: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
    """y_t = sum_s K_s u_{t-s}, head by head: kernel (H, T), u (B, H, T)."""
    padded = F.pad(u, (kernel.shape[-1] - 1, 0))
    return F.conv1d(padded, kernel.flip(-1)[:, None].to(u.dtype), groups=kernel.shape[0])


def complex_of(parameter: torch.Tensor) -> torch.Tensor:
    return torch.complex(parameter[..., 0], parameter[..., 1])


class MinimalKernel(nn.Module):
    def __init__(self, heads: int, modes: int):
        super().__init__()
        self.C = nn.Parameter(torch.randn(heads, modes, 2))
        self.log_dt = nn.Parameter(torch.empty(heads).uniform_(math.log(1e-3), math.log(1e-1)))
        self.log_A_real = nn.Parameter(torch.randn(heads, modes) * 0.5 - 0.7)
        self.A_imag = nn.Parameter(math.pi * torch.arange(modes) + torch.randn(heads, modes))

    def forward(self, steps: int) -> torch.Tensor:
        a = torch.complex(-torch.exp(self.log_A_real), self.A_imag)
        dt_a = a * torch.exp(self.log_dt)[:, None]
        return kernel_of(complex_of(self.C) * (torch.exp(dt_a) - 1) / a, dt_a, steps)


class TiedDropout(nn.Module):
    """Their own dropout: one mask for all steps."""

    def __init__(self, p: float):
        super().__init__()
        self.p, self.tie = p, True

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            return x * (torch.rand(*x.shape[:2], 1) >= self.p) / (1 - self.p)
        return x


class MinimalS4D(nn.Module):
    """(B, H, T), or (B, T, H) if not ``transposed``, to the same and None."""

    def __init__(self, heads: int, modes: int, dropout: float = 0.0, transposed: bool = True):
        super().__init__()
        self.transposed = transposed
        self.D = nn.Parameter(torch.randn(heads))
        self.kernel = MinimalKernel(heads, modes)
        self.activation = nn.GELU()
        self.dropout = TiedDropout(dropout) if dropout else nn.Identity()
        self.output_linear = nn.Sequential(nn.Conv1d(heads, 2 * heads, 1), nn.GLU(dim=-2))

    def forward(self, u: torch.Tensor, **ignored):
        u = u if self.transposed else u.mT
        y = causal(self.kernel(u.shape[-1]), u) + self.D[:, None] * u
        y = self.output_linear(self.dropout(self.activation(y)))
        return (y if self.transposed else y.mT), None


class BlockKernel(nn.Module):
    """Release 4, diagonal. ``made`` are the options that leave no trace in names and shapes."""

    def __init__(self, heads: int, modes: int, copies: int | None = None, tied: bool = True, channels: int = 1, **made):
        super().__init__()
        self.made = {
            "disc": "zoh", "dt_fast": False, "real_transform": "exp", "imag_transform": "none", "dt_transform": "exp",
            "bandlimit": None, **made,
        }  # fmt: skip
        copies = copies or heads
        dt = torch.empty(heads, 1 if tied else modes).uniform_(math.log(1e-3), math.log(1e-1)).exp()
        dt = INVERSE[self.made["dt_transform"]](dt)
        self.inv_dt = nn.Parameter(torch.asinh(dt) if self.made["dt_fast"] else dt)
        self.C = nn.Parameter(torch.randn(channels, heads, modes, 2))
        self.B = nn.Parameter(torch.randn(1, copies, modes, 2))
        self.A_real = nn.Parameter(INVERSE[self.made["real_transform"]](torch.empty(copies, modes).uniform_(0.2, 0.9)))
        frequencies = math.pi * torch.arange(modes) + torch.rand(copies, modes)
        self.A_imag = nn.Parameter(INVERSE[self.made["imag_transform"]](frequencies))

    def forward(self, steps: int) -> torch.Tensor:
        made, heads = self.made, self.C.shape[1]
        a = -torch.complex(FORWARD[made["real_transform"]](self.A_real), FORWARD[made["imag_transform"]](self.A_imag))
        a, b = (part.repeat(heads // part.shape[0], 1) for part in (a, complex_of(self.B[0])))
        dt = FORWARD[made["dt_transform"]](torch.sinh(self.inv_dt) if made["dt_fast"] else self.inv_dt)
        c = complex_of(self.C)
        if made["bandlimit"] is not None:
            c = c * (dt * a.imag.abs() / (2 * math.pi) < 0.5 * made["bandlimit"])
        dt_a = dt * a
        if made["disc"] == "zoh":
            return kernel_of(b * c * (torch.exp(dt_a) - 1) / a, dt_a, steps)
        return kernel_of(b * c * dt / (1 - dt_a / 2), torch.log((1 + dt_a / 2) / (1 - dt_a / 2)), steps)


class BlockLayer(nn.Module):
    """The convolution inside a block: (B, T, H)."""

    def __init__(self, heads: int, modes: int, activation: nn.Module, dropout: float, longest: int | None, **kernel):
        super().__init__()
        self.transposed, self.longest = False, longest
        self.D = nn.Parameter(torch.randn(1, heads))
        self.kernel = BlockKernel(heads, modes, **kernel)
        self.activation = activation
        self.drop = nn.Dropout(dropout) if dropout else nn.Identity()

    def forward(self, x: torch.Tensor, state: torch.Tensor | None = None, rate: float = 1.0):
        u = x.mT
        kernel = self.kernel(min(u.shape[-1], self.longest or u.shape[-1]))[0]
        y = causal(kernel, u)[..., : u.shape[-1]] + self.D[0][:, None] * u
        return self.activation(self.drop(y).mT), None


class Block(nn.Module):
    """Release 4's S4Block."""

    def __init__(
        self, heads: int, modes: int, final: str | None = "glu", transposed: bool = True, dropout: float = 0.0,
        activation: nn.Module | None = None, longest: int | None = None, **kernel,
    ):  # fmt: skip
        super().__init__()
        self.transposed = transposed
        self.layer = BlockLayer(heads, modes, activation or nn.GELU(), dropout, longest, **kernel)
        self.mult_activation = nn.Identity()
        self.drop = nn.Dropout(dropout) if dropout else nn.Identity()
        last = {"glu": nn.GLU(dim=-1), "relu": nn.ReLU(), "id": nn.Identity(), None: None}[final]
        linear = nn.Linear(heads, (1 + (final == "glu")) * heads)
        self.output_linear = nn.Sequential(linear, last) if last else nn.Identity()

    def forward(self, x: torch.Tensor, lengths: torch.Tensor | None = None, **more):
        x = x.mT if self.transposed else x
        y, state = self.layer(x, **more)
        y = self.output_linear(self.drop(self.mult_activation(y)))
        return (y.mT if self.transposed else y), state


class _Inner(nn.Module):
    """The kernel in a kernel of releases 2 and 3: its parameters by name."""

    def __init__(self, **parameters: torch.Tensor):
        super().__init__()
        for name, value in parameters.items():
            self.register_parameter(name, nn.Parameter(value))


class OldKernel(nn.Module):
    def __init__(self, heads: int, modes: int, copies: int, release: int):
        super().__init__()
        self.release = release
        real, imag = torch.randn(copies, modes) * 0.3 - 0.7, torch.randn(copies, modes) * 4
        shared = {"C": torch.randn(1, heads, modes, 2), "log_dt": torch.empty(heads).uniform_(-6.9, -2.3)}
        if release == 3:
            # A is what inv_A_real and A_imag began as; nothing reads it.
            begun = {"A": torch.randn(copies, modes, 2), "B": torch.randn(copies, modes, 2)}
            self.kernel = _Inner(**shared, **begun, inv_A_real=real, A_imag=imag)
        else:
            self.kernel = _Inner(**shared, log_w_real=real, w_imag=imag)

    def forward(self, steps: int) -> torch.Tensor:
        own = self.kernel
        real, imag = (own.inv_A_real, own.A_imag) if self.release == 3 else (own.log_w_real, own.w_imag)
        heads = own.C.shape[1]
        a = torch.complex(-torch.exp(real), imag).repeat(heads // len(real), 1)
        c = complex_of(own.C)[0]
        if self.release == 3:
            c = c * complex_of(own.B).repeat(heads // len(real), 1)
        dt_a = a * torch.exp(own.log_dt)[:, None]
        kernel = kernel_of(c * (torch.exp(dt_a) - 1) / a, dt_a, steps)
        return kernel if self.release == 3 else kernel.float()


class ChannelMap(nn.Module):
    """Release 3's linear map of (B, H, T) over its channels: weights of a Linear, where a Conv1d would stand."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(outputs, inputs) / inputs**0.5), nn.Parameter(torch.randn(outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.einsum("oi,bit->bot", self.weight, x) + self.bias[:, None]


class OldLayer(nn.Module):
    """Releases 2 (a bare Conv1d behind, nothing after it) and 3 (GLU): (B, H, T)."""

    def __init__(self, heads: int, modes: int, copies: int, release: int):
        super().__init__()
        self.transposed = True
        self.D = nn.Parameter(torch.randn(1, heads))
        self.kernel = OldKernel(heads, modes, copies, release)
        self.activation = nn.GELU()
        self.dropout = nn.Identity()
        gated = nn.Sequential(ChannelMap(heads, 2 * heads), nn.GLU(dim=-2))
        self.output_linear = gated if release == 3 else nn.Conv1d(heads, heads, 1)

    def forward(self, u: torch.Tensor, **ignored):
        y = causal(self.kernel(u.shape[-1]), u) + self.D[0][:, None] * u
        return self.output_linear(self.dropout(self.activation(y))), None


class Network(nn.Module):
    """Their example's network with batch norm: (B, T, C) to (B, K)."""

    def __init__(self, layers: list[nn.Module], heads: int, channels: int = 2, classes: int = 3, **call):
        super().__init__()
        self.call = call
        self.encoder = nn.Linear(channels, heads)
        self.s4_layers = nn.ModuleList(layers)
        self.norms = nn.ModuleList(nn.BatchNorm1d(heads) for _ in layers)
        self.dropouts = nn.ModuleList(nn.Dropout(0.1) for _ in layers)
        self.decoder = nn.Linear(heads, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.encoder(x).transpose(-1, -2)
        for layer, norm, dropout in zip(self.s4_layers, self.norms, self.dropouts, strict=True):
            z, _ = layer(x, **self.call)
            x = norm(dropout(z) + x)
        return self.decoder(x.transpose(-1, -2).mean(dim=1))
