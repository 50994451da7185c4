"""The fused recurrence as one differentiable function, on the backend of the tensors' device."""

from __future__ import annotations

import importlib
from types import ModuleType

import torch
from torch import Tensor

_BACKENDS = {"cpu": "cpu", "cuda": "triton"}


def backend(device: torch.device) -> ModuleType:
    """Module with ``forward``, ``backward`` and ``trace`` for tensors on ``device``."""
    return importlib.import_module(f".{_BACKENDS[device.type]}", __package__)


def _in_codes(parameters: tuple[Tensor, ...], scale: Tensor) -> tuple[Tensor, ...]:
    """Ā, B̄ / Δ, 2 C Δ, D, contiguous."""
    a_re, a_im, b_re, b_im, c_re, c_im, d = parameters
    scaled = (a_re, a_im, b_re / scale, b_im / scale, 2 * c_re * scale, 2 * c_im * scale, d)
    return tuple(value.detach().contiguous() for value in scaled)


def _limits(bits: int) -> tuple[float, float]:
    return -(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1


class FusedScan(torch.autograd.Function):
    """Forward, with s, x in units of the state's scale Δ and codes limited to [L, U] = [-2^(b-1), 2^(b-1) - 1]:

        s_t = Ā x_{t-1} + (B̄ / Δ) u_t
        x_t = clamp(round_half_even(s_t), L, U)          re and im separately
        y_t = 2 Re(C Δ x_t) + D u_t

    Backward, straight through the rounding and stopped where it saturates, g_t = dL/dy_t:

        λ_t   = 2 Δ conj(C) g_t + conj(Ā) λ^s_{t+1}      λ = dL/dRe + i dL/dIm
        λ^s_t = λ_t where L <= round(s_t) <= U, else 0   re and im separately
        dL/dĀ = Σ λ^s_t conj(x_{t-1})     dL/dB̄ = Σ λ^s_t u_t / Δ     dL/dC = 2 Δ Σ g_t conj(x_t)
        dL/dD = Σ g_t u_t                 dL/du_t = D g_t + Re(conj(B̄) λ^s_t) / Δ

    Saved are u and the states at the ends of spans of time; the states between are computed again.
    """

    @staticmethod
    def forward(ctx, u, a_re, a_im, b_re, b_im, c_re, c_im, d, scale, bits):
        scale = scale.detach().to(u.dtype)
        u = u.detach().contiguous()
        parameters = _in_codes((a_re, a_im, b_re, b_im, c_re, c_im, d), scale)
        y, ctx.kept = backend(u.device).forward(u, parameters, _limits(bits), any(ctx.needs_input_grad))
        ctx.bits = bits
        ctx.save_for_backward(u, scale, *parameters)
        return y

    @staticmethod
    def backward(ctx, gradient):
        u, scale, *parameters = ctx.saved_tensors
        gu, gradients, gd = backend(u.device).backward(u, tuple(parameters), _limits(ctx.bits), ctx.kept, gradient.contiguous())
        a_re, a_im, b_re, b_im, c_re, c_im = gradients
        return (gu, a_re, a_im, b_re / scale, b_im / scale, 2 * c_re * scale, 2 * c_im * scale, gd, None, None)


def traced_scan(u: Tensor, parameters: tuple[Tensor, ...], scale: Tensor, bits: int) -> tuple[Tensor, Tensor, Tensor]:
    """y and the state codes re, im ``(B, T, H, N)``; not differentiable."""
    in_codes = _in_codes(parameters, scale.detach().to(u.dtype))
    return backend(u.device).trace(u.detach().contiguous(), in_codes, _limits(bits))
