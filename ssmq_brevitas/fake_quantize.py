"""A quantiser as one kernel: round half to even and saturate, with the straight-through gradient of Brevitas.

y = clamp(round_half_even(x / Δ), L, U) Δ        dL/dx = dL/dy where L <= round(x / Δ) <= U, else 0
"""

from __future__ import annotations

import numpy as np
import torch
from numba import prange
from ssmq_jit import kernel
from torch import Tensor

from .vectors import WIDTH, clamp, equal, load, magic, splat, store, where

_CHUNK = 4096


@kernel(parallel=True)
def _forward(x, scale, low, high, rounder, y, inside):
    """Fill ``y`` and ``inside``, one bit an element; all flat, padded to whole vectors."""
    one = x.dtype.type(1)
    for chunk in prange((inside.size + _CHUNK - 1) // _CHUNK):
        step, inverse = splat(scale), splat(one / scale)
        lower, upper, shift = splat(low), splat(high), splat(rounder)
        for row in range(chunk * _CHUNK, min((chunk + 1) * _CHUNK, inside.size)):
            code = (load(x, row * WIDTH) * inverse + shift) - shift
            kept = clamp(code, lower, upper)
            inside[row] = equal(code, kept)
            store(y, row * WIDTH, kept * step)


@kernel(parallel=True)
def _backward(gradient, inside, result):
    for chunk in prange((inside.size + _CHUNK - 1) // _CHUNK):
        for row in range(chunk * _CHUNK, min((chunk + 1) * _CHUNK, inside.size)):
            store(result, row * WIDTH, where(inside[row], load(gradient, row * WIDTH)))


def _whole_vectors(values: Tensor) -> np.ndarray:
    flat = values.detach().contiguous().view(-1)
    if flat.numel() % WIDTH:
        flat = torch.nn.functional.pad(flat, (0, -flat.numel() % WIDTH))
    return flat.numpy()


def _shaped(flat: np.ndarray, like: Tensor) -> Tensor:
    return torch.from_numpy(flat)[: like.numel()].view(like.shape)


class _FakeQuantize(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, scale, low, high):
        flat = _whole_vectors(x)
        y, ctx.inside = np.empty_like(flat), np.empty(flat.size // WIDTH, np.uint16)
        kind = flat.dtype.type
        _forward(flat, kind(scale), kind(low), kind(high), magic(flat.dtype), y, ctx.inside)
        return _shaped(y, x)

    @staticmethod
    def backward(ctx, gradient):
        flat = _whole_vectors(gradient)
        result = np.empty_like(flat)
        _backward(flat, ctx.inside, result)
        return _shaped(result, gradient), None, None, None


def fake_quantize(x: Tensor, scale: Tensor, low: int, high: int) -> Tensor:
    """``x`` on the grid of codes ``low .. high`` times ``scale``, one power of two."""
    if x.device.type == "cpu":
        return _FakeQuantize.apply(x, scale.item(), low, high)
    return on_any_device(x, scale, low, high)


def on_any_device(x: Tensor, scale: Tensor, low: int, high: int) -> Tensor:
    """The same by torch's own operator."""
    zero_point = torch.zeros((), dtype=torch.int32, device=x.device)
    return torch.fake_quantize_per_tensor_affine(x, scale.float(), zero_point, low, high)
