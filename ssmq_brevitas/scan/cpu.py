"""The fused recurrence on the CPU: torch tensors in, numba kernels, torch tensors out.

Tensors are contiguous and need no gradient; parameters are in units of state codes (see ``function``).
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from ..vectors import magic
from . import kernels
from .kernels import GROUP, WIDTH


class _Layout:
    """Heads and modes of one call as patterns of chains; the modes are padded to a multiple of ``GROUP`` with zeros."""

    def __init__(self, u: Tensor, parameters: tuple[Tensor, ...]):
        self.chains, self.heads, self.modes = u.shape[0] * u.shape[2], u.shape[2], parameters[0].shape[1]
        self.tiles = -(-self.chains // WIDTH)
        self.head_of = np.arange(math.lcm(self.heads, WIDTH)).reshape(-1, WIDTH) % self.heads
        stacked = np.stack([value.numpy() for value in parameters[:6]], axis=-1)  # (H N 6)
        stacked = np.pad(stacked, ((0, 0), (0, -self.modes % GROUP), (0, 0)))
        self.p = np.ascontiguousarray(stacked[self.head_of].transpose(0, 2, 3, 1))  # (patterns N 6 16)
        self.d = np.ascontiguousarray(parameters[6].numpy()[self.head_of])

    def zero_sums(self, *shape: int) -> np.ndarray:
        """Float64 zeros ``(tiles, *shape, 16)``, the tiles rounded up to whole rounds of patterns."""
        patterns = len(self.head_of)
        return np.zeros((-(-self.tiles // patterns) * patterns, *shape, WIDTH))

    def by_head(self, sums: np.ndarray) -> Tensor:
        """Sum ``(tiles, ..., 16)`` over the batch: ``(H, ...)``. Chains that are nobody's hold 0."""
        once = sums.reshape(-1, len(self.head_of), *sums.shape[1:]).sum(axis=0)
        chains = np.moveaxis(once, -1, 1).reshape(-1, self.heads, *sums.shape[1:-1])
        return torch.from_numpy(chains.sum(axis=0))


# What backward needs: the layout and the states at the ends of spans.
_Kept = tuple[_Layout, np.ndarray]


def _run(u: Tensor, layout: _Layout, limits: tuple[float, float], span: int, keep: bool) -> tuple[Tensor, np.ndarray]:
    array = u.numpy()
    y = np.empty_like(array)
    spans = -(-u.shape[1] // span) if keep else 0
    ends = np.empty((layout.tiles if keep else 0, spans, layout.p.shape[1], 2, WIDTH), array.dtype)
    low, high = (array.dtype.type(limit) for limit in limits)
    kernels.forward(layout.p, layout.d, low, high, magic(array.dtype), span, array, y, ends)
    return torch.from_numpy(y), ends


def forward(u: Tensor, parameters: tuple[Tensor, ...], limits: tuple[float, float], keep: bool) -> tuple[Tensor, _Kept | None]:
    """``u`` ``(B, T, H)``, Ā, B̄, C re and im ``(H, N)`` and D ``(H)`` in code units to ``y`` and what backward needs."""
    layout = _Layout(u, parameters)
    y, ends = _run(u, layout, limits, kernels.SPAN, keep)
    return y, (layout, ends) if keep else None


def backward(
    u: Tensor, parameters: tuple[Tensor, ...], limits: tuple[float, float], saved: _Kept, gy: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of ``u`` ``(B, T, H)``, of Ā, B̄, C ``(6, H, N)`` in code units, and of D ``(H)``."""
    layout, ends = saved
    array = u.numpy()
    gu = np.empty_like(array)
    sums, sums_d = layout.zero_sums(*layout.p.shape[1:3]), layout.zero_sums()
    low, high = (array.dtype.type(limit) for limit in limits)
    kernels.backward(layout.p, layout.d, low, high, magic(array.dtype), array, ends, gy.numpy(), gu, sums, sums_d)
    six = layout.by_head(sums)[:, : layout.modes].permute(2, 0, 1)
    return torch.from_numpy(gu), six.to(u.dtype), layout.by_head(sums_d).to(u.dtype)


def trace(u: Tensor, parameters: tuple[Tensor, ...], limits: tuple[float, float]) -> tuple[Tensor, Tensor, Tensor]:
    """``y`` and the state codes re and im ``(B, T, H, N)`` int32: spans of one step, so that every end is kept."""
    layout = _Layout(u, parameters)
    y, ends = _run(u, layout, limits, 1, True)
    codes = torch.from_numpy(ends.astype(np.int32)).permute(3, 0, 4, 1, 2).flatten(1, 2)  # (2 chains T N)
    codes = codes[:, : layout.chains, :, : layout.modes].unflatten(1, (-1, layout.heads))  # (2 B H T N)
    re, im = codes.transpose(2, 3).unbind(0)
    return y, re, im
