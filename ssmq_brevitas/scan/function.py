"""The fused recurrence as one differentiable function."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from . import cpu


# Freed code buffers, used again: the kernels are fast enough that the page faults of fresh memory would show.
_POOL: list[np.ndarray] = []
_POOL_LIMIT = 8


def _take(shape: tuple[int, ...], dtype: type) -> np.ndarray:
    """An uninitialised array, out of a pooled buffer of the same size if there is one."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    for index, buffer in enumerate(_POOL):
        if buffer.nbytes == size:
            return _POOL.pop(index).view(dtype).reshape(shape)
    return np.empty(size, np.uint8).view(dtype).reshape(shape)


class _Problem:
    """The kernel's view of one call: arrays in its layout and in units of state codes."""

    codes: np.ndarray | None = None

    def __init__(self, u: Tensor, parameters: tuple[Tensor, ...], scale: Tensor, bits: int, keep: bool):
        a_re, a_im, b_re, b_im, c_re, c_im, d = (value.detach() for value in parameters)
        self.scale = scale.detach().to(u.dtype).expand(a_re.shape)
        units = [a_re, a_im, b_re / self.scale, b_im / self.scale, 2 * c_re * self.scale, 2 * c_im * self.scale, d]
        self.parameters = [np.ascontiguousarray(value.numpy()) for value in units]
        self.u = u.detach().permute(2, 1, 0).contiguous().numpy()  # (H T B)
        kind = self.u.dtype.type
        self.limits = kind(-(2 ** (bits - 1))), kind(2 ** (bits - 1) - 1)
        heads, length, batch = self.u.shape
        code_type = np.int8 if bits <= 8 else np.int16 if bits <= 16 else np.int32
        self.codes = _take((heads, length if keep else 1, 2, a_re.shape[1], batch), code_type)
        self.keep = keep

    def __del__(self):
        # Autograd drops the problem when the graph is freed, however often backward ran through it.
        if self.codes is not None and len(_POOL) < _POOL_LIMIT:
            _POOL.append(self.codes.reshape(-1).view(np.uint8))

    def forward(self) -> Tensor:
        y = np.empty_like(self.u)
        cpu.forward(*self.parameters, *self.limits, cpu.magic(self.u.dtype), self.u, y, self.codes, self.keep)
        return torch.from_numpy(y).permute(2, 1, 0)

    def backward(self, gradient: Tensor) -> tuple[Tensor, ...]:
        gy = gradient.permute(2, 1, 0).contiguous().numpy()
        gu = np.empty_like(self.u)
        sums = np.zeros((*self.parameters[0].shape, 6))
        gd = np.empty(len(self.parameters[6]))
        cpu.backward(*self.parameters, *self.limits, self.u, self.codes, gy, gu, sums, gd)
        a_re, a_im, b_re, b_im, c_re, c_im = torch.from_numpy(sums).to(gradient.dtype).unbind(-1)
        scale = self.scale
        return (
            torch.from_numpy(gu).permute(2, 1, 0),
            a_re,
            a_im,
            b_re / scale,
            b_im / scale,
            2 * c_re * scale,
            2 * c_im * scale,
            torch.from_numpy(gd).to(gradient.dtype),
        )


class DiagonalScan(torch.autograd.Function):
    """Forward, with s, x in units of the state's scale Δ and codes limited to [L, U] = [-2^(b-1), 2^(b-1) - 1]:

        s_t = Ā x_{t-1} + (B̄ / Δ) u_t
        x_t = clamp(round_half_even(s_t), L, U)          re and im separately
        y_t = 2 Re(C Δ x_t) + D u_t

    Backward, straight through the rounding and stopped where it saturates, g_t = dL/dy_t:

        λ_t   = 2 Δ conj(C) g_t + conj(Ā) λ^s_{t+1}      λ = dL/dRe + i dL/dIm
        λ^s_t = λ_t where L <= round(s_t) <= U, else 0   re and im separately
        dL/dĀ = Σ λ^s_t conj(x_{t-1})     dL/dB̄ = Σ λ^s_t u_t / Δ     dL/dC = 2 Δ Σ g_t conj(x_t)
        dL/dD = Σ g_t u_t                 dL/du_t = D g_t + Re(conj(B̄) λ^s_t) / Δ

    Saved are u and the state codes (1, 2 or 4 bytes a component); s_t is computed again for the mask.
    """

    @staticmethod
    def forward(ctx, u, a_re, a_im, b_re, b_im, c_re, c_im, d, scale, bits):
        parameters = (a_re, a_im, b_re, b_im, c_re, c_im, d)
        ctx.problem = _Problem(u, parameters, scale, bits, keep=any(ctx.needs_input_grad))
        return ctx.problem.forward()

    @staticmethod
    def backward(ctx, gradient):
        return (*ctx.problem.backward(gradient), None, None)


def traced_scan(u: Tensor, parameters: tuple[Tensor, ...], scale: Tensor, bits: int) -> tuple[Tensor, Tensor, Tensor]:
    """y and the state codes re, im ``(B, T, H, N)``; not differentiable."""
    problem = _Problem(u, parameters, scale, bits, keep=True)
    y = problem.forward()
    codes, problem.codes = problem.codes, None  # the caller's now
    re, im = torch.from_numpy(codes).permute(2, 4, 1, 0, 3).unbind(0)
    return y, re, im
