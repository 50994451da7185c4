"""S4D: the diagonal state-space layer in floating point, as a convolution, as a recurrence and step by step.

    x_t = Ā x_{t-1} + B̄ u_t          x complex, N modes a head, x_0 before the first step is 0
    y_t = 2 Re(C x_t) + D u_t

with A = -exp(log_a_re) + i a_im, discretised by zero-order hold: Ā = exp(Δ A), B̄ = (Ā - 1) / A (B = 1).
Source: Gu et al., "On the Parameterization and Initialization of Diagonal State Space Models", arXiv 2206.11893
(initialisation S4D-Lin: A_n = -1/2 + iπn).
"""

from __future__ import annotations

import math

import torch
from scipy.fft import next_fast_len
from torch import nn

from .errors import SsmqError
from .scan.reference import reference_scan


class DynamicsParameter(nn.Parameter):
    """A parameter that moves the dynamics: it is trained at ``learning_rate_a`` and does not decay, as in S4.

    A type, since copies of a parameter keep it and lose attributes.
    """


def refuse_shape(layer: str, u: torch.Tensor, *shape: int | str) -> None:
    """Raise SsmqError unless ``u`` has ``shape``; a letter is any size from 1."""
    fits = u.dim() == len(shape) and all(
        size == want if isinstance(want, int) else size for size, want in zip(u.shape, shape, strict=True)
    )
    if not fits:
        wanted = ", ".join(str(size) for size in shape)
        raise SsmqError(f"{layer} takes a tensor of the shape ({wanted}), not {tuple(u.shape)}")


class CausalConvolution(torch.autograd.Function):
    """y_t = sum_{s <= t} K_{t-s} u_s of ``u`` ``(B, H, T)`` and ``kernel`` ``(H, T)``.

    Autograd's gradient of a real FFT is a complex one of twice the length. Spectra are computed again, not kept: each is
    four times the size of ``u``.
    """

    @staticmethod
    def forward(ctx, u: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(u, kernel)
        length = u.shape[-1]
        spectrum = _spectrum(u, length)
        spectrum *= _spectrum(kernel, length)
        return _signal(spectrum, length)

    @staticmethod
    def backward(ctx, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        u, kernel = ctx.saved_tensors
        length = u.shape[-1]
        g_f = _spectrum(gradient, length)
        of_u = _signal(g_f * _spectrum(kernel, length).conj(), length)
        return of_u, _signal(torch.einsum("bhf,bhf->hf", g_f, _spectrum(u, length).conj()), length)


def _points(length: int) -> int:
    return 2 * next_fast_len(length)  # no end meets a beginning; even numbers are the fastest


def _spectrum(signal: torch.Tensor, length: int) -> torch.Tensor:
    return torch.fft.rfft(signal, n=_points(length))


def _signal(spectrum: torch.Tensor, length: int) -> torch.Tensor:
    return torch.fft.irfft(spectrum, n=_points(length))[..., :length]


class S4D(nn.Module):
    """Float S4D layer: ``(B, T, H)`` to ``(B, T, H)``, batch, time steps, heads.

    ``heads`` H is the number of channels, each a system of its own; ``modes`` N the number of conjugate pairs of states a
    head. Step sizes Δ are drawn log-uniformly from ``dt_min`` to ``dt_max``, in units of time in which a mode of A = -1/2
    forgets at the rate exp(-Δ / 2) a step: the layer's memory is some 2 / Δ steps. Channels do not mix: a linear layer that
    follows does that.

    ``mode`` is ``"convolution"`` (FFT, for training) or ``"recurrence"`` (step by step, what the quantised layer does);
    ``initial_state`` and ``step`` run a stream. Raises SsmqError for sizes that make no layer and inputs of another shape.

    >>> import torch
    >>> from ssmq_brevitas.s4d import S4D
    >>> layer = S4D(heads=4, modes=8)
    >>> u = torch.randn(2, 100, 4)
    >>> y = layer(u)
    >>> y.shape
    torch.Size([2, 100, 4])
    >>> state = layer.initial_state(batch=2)
    >>> for t in range(100):
    ...     y_t, state = layer.step(u[:, t], state)
    >>> torch.allclose(y_t, y[:, -1], atol=1e-4)
    True
    """

    def __init__(self, heads: int, modes: int = 32, dt_min: float = 1e-3, dt_max: float = 1e-1):
        super().__init__()
        if heads < 1 or modes < 1 or not 0 < dt_min <= dt_max < math.inf:
            raise SsmqError(
                f"S4D needs heads and modes from 1 and 0 < dt_min <= dt_max, not heads={heads}, modes={modes}, "
                f"dt_min={dt_min}, dt_max={dt_max}"
            )
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
        return self._by_zero_order_hold(*self.continuous())

    def _by_zero_order_hold(self, a: torch.Tensor, dt_a: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        a_bar = torch.exp(dt_a)
        return a_bar, (a_bar - 1) / a, torch.view_as_complex(self.c)

    def kernel(self, length: int) -> torch.Tensor:
        """Convolution kernel ``(H, T)``: K_t = 2 Re(sum_n C_n B̄_n Ā_n^t).

        With t = i M + j, Ā^t is Ā^(iM) Ā^j: a product of two matrices that have some 2 sqrt(T) exponentials a mode, not T.
        Those are taken in double precision, for at the end of a long sequence Δ A t is hundreds of turns.
        """
        a, dt_a = self.continuous()
        _, b, c = self._by_zero_order_hold(a, dt_a)
        dt_a = dt_a.to(torch.complex128)
        inner = math.isqrt(length - 1) + 1
        outer = -(-length // inner)
        steps = torch.arange(inner, device=dt_a.device)
        starts = inner * torch.arange(outer, device=dt_a.device)
        fine = torch.exp(dt_a[..., None] * steps).to(c.dtype)  # (H N M)
        coarse = torch.exp(dt_a[:, None] * starts[:, None]).to(c.dtype) * (2 * b * c)[:, None]  # (H I N)
        left = torch.cat([coarse.real, -coarse.imag], dim=2)
        right = torch.cat([fine.real, fine.imag], dim=1)
        return (left @ right).flatten(1)[:, :length]

    def forward(self, u: torch.Tensor) -> torch.Tensor:
        """``y`` ``(B, T, H)`` of whole sequences ``u`` ``(B, T, H)``, the states starting at 0. SsmqError for another shape.

        >>> import torch
        >>> from ssmq_brevitas import S4D
        >>> S4D(heads=4, modes=8)(torch.randn(2, 100, 4)).shape
        torch.Size([2, 100, 4])
        """
        refuse_shape("S4D", u, "B", "T", self.heads)
        if self.mode == "convolution":
            return self._convolution(u)
        a, b, c = self.discrete()
        return reference_scan(u, a.real, a.imag, b.real, b.imag, c.real, c.imag, self.d, lambda x: x)

    def _convolution(self, u: torch.Tensor) -> torch.Tensor:
        kernel = self.kernel(u.shape[1])
        kernel = torch.cat([kernel[:, :1] + self.d[:, None], kernel[:, 1:]], dim=1)  # D u is D at a distance of 0
        return CausalConvolution.apply(u.transpose(1, 2), kernel).transpose(1, 2)

    def initial_state(self, batch: int) -> torch.Tensor:
        """The state of ``batch`` streams before their first step: zeros, complex128 ``(batch, H, N)``."""
        return torch.zeros(batch, self.heads, self.modes, dtype=torch.complex128, device=self.c.device)

    def step(self, u_t: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """One time step: ``u_t`` ``(B, H)`` and the state before it to ``y_t`` ``(B, H)`` and the state after it.

        Equal to the convolution to float rounding, however long the stream: the state and Ā are kept in double precision,
        since what a step rounds the next ones repeat. Raises SsmqError for another shape.

        >>> import torch
        >>> from ssmq_brevitas import S4D
        >>> layer = S4D(heads=4, modes=8)
        >>> y_0, state = layer.step(torch.ones(2, 4), layer.initial_state(batch=2))
        >>> y_0.shape, state.shape, state.dtype
        (torch.Size([2, 4]), torch.Size([2, 4, 8]), torch.complex128)
        """
        refuse_shape("S4D.step", u_t, "B", self.heads)
        refuse_shape("S4D.step's state", state, u_t.shape[0], self.heads, self.modes)
        a, dt_a = self.continuous()
        _, b, c = self._by_zero_order_hold(a, dt_a)
        state = torch.exp(dt_a.to(torch.complex128)) * state + b * u_t[..., None]
        y = 2 * (c * state).real.sum(dim=-1) + self.d * u_t
        return y.to(u_t.dtype), state
