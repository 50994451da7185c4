"""The fused recurrence on the CPU: numba kernels, vectorised over batch and heads, both cores.

A lane is one head of one sequence, number ``b * H + h``, so that with H a multiple of 16 the lanes of a tile lie side
by side in ``(B, T, H)``. A tile is 16 lanes and walks through time in spans of ``SPAN`` steps: inside a span, two
modes at a time, everything stays in registers. Kept for the backward pass are only the states at the ends of the
spans; the backward pass computes a span again from there, which costs no more than loading saved codes would.

Everything runs in units of state codes. Parameters come expanded to lanes, ``(patterns, N, 6, 16)``: Ā, B̄, C as re
and im; tiles ``patterns`` apart have the same heads.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numba import njit, prange
from torch import Tensor

from .lanes import WIDTH, accumulate, clamp, equal, load, splat, store, where

SPAN = 64


@njit(cache=True)
def _gather(source, length, heads, tile, start, steps, block):
    """Copy ``steps`` time steps of a tile from ``(B, T, H)`` to ``block`` ``(SPAN, 16)``; no lane, no value: 0."""
    lanes = source.size // length
    first = tile * WIDTH
    if heads % WIDTH == 0:
        at = (first // heads * length + start) * heads + first % heads
        for t in range(steps):
            store(block, t * WIDTH, load(source, at + t * heads))
        return
    flat = source.reshape(-1)
    for lane in range(WIDTH):
        number = first + lane
        if number < lanes:
            at = (number // heads * length + start) * heads + number % heads
            for t in range(steps):
                block[t, lane] = flat[at + t * heads]
        else:
            block[:, lane] = 0


@njit(cache=True)
def _scatter(block, length, heads, tile, start, steps, target):
    """The way back."""
    lanes = target.size // length
    first = tile * WIDTH
    if heads % WIDTH == 0:
        at = (first // heads * length + start) * heads + first % heads
        for t in range(steps):
            store(target, at + t * heads, load(block, t * WIDTH))
        return
    flat = target.reshape(-1)
    for lane in range(min(WIDTH, lanes - first)):
        number = first + lane
        at = (number // heads * length + start) * heads + number % heads
        for t in range(steps):
            flat[at + t * heads] = block[t, lane]


@njit(cache=True, inline="always")
def _rounded(s, magic):
    return (s + magic) - magic


@njit(cache=True)
def _forward_span(p, at, steps, low_code, high_code, rounder, u, y, x):
    """Two modes, from row ``at`` of ``p``, over one span: add to ``y``, move ``x`` ``(2, 2, 16)`` on."""
    low, high, magic = splat(low_code), splat(high_code), splat(rounder)
    a_re, a_im, b_re, b_im = load(p, at), load(p, at + 16), load(p, at + 32), load(p, at + 48)
    c_re, c_im = load(p, at + 64), load(p, at + 80)
    A_re, A_im, B_re, B_im = load(p, at + 96), load(p, at + 112), load(p, at + 128), load(p, at + 144)
    C_re, C_im = load(p, at + 160), load(p, at + 176)
    re, im, Re, Im = load(x, 0), load(x, 16), load(x, 32), load(x, 48)
    for t in range(steps):
        drive = load(u, t * WIDTH)
        s_re = (b_re * drive - a_im * im) + a_re * re
        s_im = (b_im * drive + a_im * re) + a_re * im
        S_re = (B_re * drive - A_im * Im) + A_re * Re
        S_im = (B_im * drive + A_im * Re) + A_re * Im
        re, im = clamp(_rounded(s_re, magic), low, high), clamp(_rounded(s_im, magic), low, high)
        Re, Im = clamp(_rounded(S_re, magic), low, high), clamp(_rounded(S_im, magic), low, high)
        store(y, t * WIDTH, (load(y, t * WIDTH) + c_re * re - c_im * im) + (C_re * Re - C_im * Im))
    store(x, 0, re)
    store(x, 16, im)
    store(x, 32, Re)
    store(x, 48, Im)


@njit(parallel=True, cache=True)
def _forward(p, d, low, high, rounder, span, u, y, ends):
    """Fill ``y`` and, unless it is empty, ``ends`` ``(tiles, spans, N, 2, 16)``: the states after each span."""
    length, heads = u.shape[1], u.shape[2]
    patterns, modes = p.shape[0], p.shape[1]
    tiles = (u.shape[0] * heads + WIDTH - 1) // WIDTH
    for tile in prange(tiles):
        drive, sums = np.empty((span, WIDTH), u.dtype), np.empty((span, WIDTH), u.dtype)
        x = np.zeros((modes, 2, WIDTH), u.dtype)
        pattern = tile % patterns
        for start in range(0, length, span):
            steps = min(span, length - start)
            _gather(u, length, heads, tile, start, steps, drive)
            skip = load(d, pattern * WIDTH)
            for t in range(steps):
                store(sums, t * WIDTH, skip * load(drive, t * WIDTH))
            for n in range(0, modes, 2):
                at = (pattern * modes + n) * 6 * WIDTH
                _forward_span(p, at, steps, low, high, rounder, drive, sums, x[n : n + 2])
            _scatter(sums, length, heads, tile, start, steps, y)
            if ends.size:
                ends[tile, start // span] = x


@njit(cache=True)
def _states_span(p, at, steps, low_code, high_code, rounder, u, x, states, inside):
    """Two modes over one span again: ``states`` ``(2, SPAN + 1, 2, 16)`` from ``x`` on, ``inside`` the lanes that do not saturate."""
    low, high, magic = splat(low_code), splat(high_code), splat(rounder)
    a_re, a_im, b_re, b_im = load(p, at), load(p, at + 16), load(p, at + 32), load(p, at + 48)
    A_re, A_im, B_re, B_im = load(p, at + 96), load(p, at + 112), load(p, at + 128), load(p, at + 144)
    re, im, Re, Im = load(x, 0), load(x, 16), load(x, 32), load(x, 48)
    second = states.shape[1] * 2 * WIDTH
    store(states, 0, re)
    store(states, 16, im)
    store(states, second, Re)
    store(states, second + 16, Im)
    for t in range(steps):
        drive = load(u, t * WIDTH)
        s_re = _rounded((b_re * drive - a_im * im) + a_re * re, magic)
        s_im = _rounded((b_im * drive + a_im * re) + a_re * im, magic)
        S_re = _rounded((B_re * drive - A_im * Im) + A_re * Re, magic)
        S_im = _rounded((B_im * drive + A_im * Re) + A_re * Im, magic)
        re, im = clamp(s_re, low, high), clamp(s_im, low, high)
        Re, Im = clamp(S_re, low, high), clamp(S_im, low, high)
        inside[0, t, 0], inside[0, t, 1] = equal(s_re, re), equal(s_im, im)
        inside[1, t, 0], inside[1, t, 1] = equal(S_re, Re), equal(S_im, Im)
        row = (t + 1) * 2 * WIDTH
        store(states, row, re)
        store(states, row + 16, im)
        store(states, second + row, Re)
        store(states, second + row + 16, Im)


@njit(cache=True)
def _backward_span(p, at, steps, u, g, states, inside, gu, adjoint, sums):
    """One mode backwards over one span; adds to ``gu`` and ``sums`` ``(6, 16)``, moves ``adjoint`` ``(2, 16)`` on."""
    a_re, a_im, b_re, b_im = load(p, at), load(p, at + 16), load(p, at + 32), load(p, at + 48)
    c_re, c_im = load(p, at + 64), load(p, at + 80)
    l_re, l_im = load(adjoint, 0), load(adjoint, 16)
    zero = splat(u.dtype.type(0))
    ga_re, ga_im, gb_re, gb_im, gc_re, gc_im = zero, zero, zero, zero, zero, zero
    re, im = load(states, steps * 32), load(states, steps * 32 + 16)
    for back in range(steps):
        t = steps - 1 - back
        drive, weight = load(u, t * WIDTH), load(g, t * WIDTH)
        v_re = where(inside[t, 0], l_re + c_re * weight)
        v_im = where(inside[t, 1], l_im - c_im * weight)
        gc_re, gc_im = gc_re + weight * re, gc_im - weight * im
        re, im = load(states, t * 32), load(states, t * 32 + 16)
        ga_re, ga_im = ga_re + v_re * re + v_im * im, ga_im + v_im * re - v_re * im
        gb_re, gb_im = gb_re + v_re * drive, gb_im + v_im * drive
        store(gu, t * WIDTH, (load(gu, t * WIDTH) + b_re * v_re) + b_im * v_im)
        l_re, l_im = a_re * v_re + a_im * v_im, a_re * v_im - a_im * v_re
    store(adjoint, 0, l_re)
    store(adjoint, 16, l_im)
    accumulate(sums, 0, ga_re)
    accumulate(sums, 16, ga_im)
    accumulate(sums, 32, gb_re)
    accumulate(sums, 48, gb_im)
    accumulate(sums, 64, gc_re)
    accumulate(sums, 80, gc_im)


@njit(parallel=True, cache=True)
def _backward(p, d, low, high, rounder, u, ends, gy, gu, sums, sums_d):
    """Fill ``gu`` and add to the float64 ``sums`` ``(tiles, N, 6, 16)`` (as ``p``) and ``sums_d`` ``(tiles, 16)``."""
    length, heads = u.shape[1], u.shape[2]
    patterns, modes = p.shape[0], p.shape[1]
    for tile in prange(sums.shape[0]):
        drive, weight, out = np.empty((SPAN, WIDTH), u.dtype), np.empty((SPAN, WIDTH), u.dtype), np.empty((SPAN, WIDTH), u.dtype)
        states, inside = np.empty((2, SPAN + 1, 2, WIDTH), u.dtype), np.empty((2, SPAN, 2), np.uint16)
        adjoint = np.zeros((modes, 2, WIDTH), u.dtype)
        origin = np.zeros((modes, 2, WIDTH), u.dtype)
        pattern = tile % patterns
        spans = ends.shape[1]
        for back in range(spans):
            span = spans - 1 - back
            start = span * SPAN
            steps = min(SPAN, length - start)
            _gather(u, length, heads, tile, start, steps, drive)
            _gather(gy, length, heads, tile, start, steps, weight)
            skip = load(d, pattern * WIDTH)
            gd = splat(u.dtype.type(0))
            for t in range(steps):
                row = load(weight, t * WIDTH)
                store(out, t * WIDTH, skip * row)
                gd = gd + row * load(drive, t * WIDTH)
            accumulate(sums_d, tile * WIDTH, gd)
            before = ends[tile, span - 1] if span else origin
            for n in range(0, modes, 2):
                at = (pattern * modes + n) * 6 * WIDTH
                _states_span(p, at, steps, low, high, rounder, drive, before[n : n + 2], states, inside)
                for m in range(2):
                    _backward_span(
                        p, at + m * 6 * WIDTH, steps, drive, weight, states[m], inside[m], out, adjoint[n + m], sums[tile, n + m]
                    )
            _scatter(out, length, heads, tile, start, steps, gu)


def _magic(dtype: np.dtype) -> np.floating:
    """1.5 * 2**(p-1), p the bits of the significand: added and subtracted, it rounds half to even.

    Exactly so for |s| < 2**(p-2); beyond, the result is off by little and saturates all the same.
    """
    return dtype.type(1.5 * 2.0 ** (23 if dtype == np.float32 else 52))


class _Layout:
    """Heads and modes of one call as patterns of lanes; the modes are padded to an even number with zeros."""

    def __init__(self, u: Tensor, parameters: tuple[Tensor, ...]):
        self.lanes, self.heads, self.modes = u.shape[0] * u.shape[2], u.shape[2], parameters[0].shape[1]
        self.tiles = -(-self.lanes // WIDTH)
        self.head_of = np.arange(math.lcm(self.heads, WIDTH)).reshape(-1, WIDTH) % self.heads
        stacked = np.stack([value.detach().numpy() for value in parameters[:6]], axis=-1)  # (H N 6)
        stacked = np.pad(stacked, ((0, 0), (0, self.modes % 2), (0, 0)))
        self.p = np.ascontiguousarray(stacked[self.head_of].transpose(0, 2, 3, 1))  # (patterns N 6 16)
        self.d = np.ascontiguousarray(parameters[6].detach().numpy()[self.head_of])

    def by_head(self, sums: np.ndarray) -> Tensor:
        """Sum ``(tiles, ..., 16)`` over the batch: ``(H, ...)``."""
        lanes = np.moveaxis(sums, -1, 1).reshape(-1, *sums.shape[1:-1])[: self.lanes]
        return torch.from_numpy(lanes.reshape(-1, self.heads, *sums.shape[1:-1]).sum(axis=0))


def _run(u: Tensor, layout: _Layout, limits: tuple[float, float], span: int, keep: bool) -> tuple[Tensor, np.ndarray]:
    array = u.detach().contiguous().numpy()
    y = np.empty_like(array)
    spans = -(-u.shape[1] // span) if keep else 0
    ends = np.empty((layout.tiles if keep else 0, spans, layout.p.shape[1], 2, WIDTH), array.dtype)
    low, high = (array.dtype.type(limit) for limit in limits)
    _forward(layout.p, layout.d, low, high, _magic(array.dtype), span, array, y, ends)
    return torch.from_numpy(y), ends


def forward(u: Tensor, parameters: tuple[Tensor, ...], limits: tuple[float, float], keep: bool) -> tuple[Tensor, object]:
    """``u`` ``(B, T, H)``, Ā, B̄, C re and im ``(H, N)`` and D ``(H)`` in code units to ``y`` and what backward needs."""
    layout = _Layout(u, parameters)
    y, ends = _run(u, layout, limits, SPAN, keep)
    return y, (layout, ends) if keep else None


def backward(
    u: Tensor, parameters: tuple[Tensor, ...], limits: tuple[float, float], saved: object, gy: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of ``u`` ``(B, T, H)``, of Ā, B̄, C ``(6, H, N)`` in code units, and of D ``(H)``."""
    layout, ends = saved
    array = u.detach().contiguous().numpy()
    gu = np.empty_like(array)
    sums = np.zeros((layout.tiles, *layout.p.shape[1:]))
    sums_d = np.zeros((layout.tiles, WIDTH))
    low, high = (array.dtype.type(limit) for limit in limits)
    weight = gy.detach().contiguous().numpy()
    _backward(layout.p, layout.d, low, high, _magic(array.dtype), array, ends, weight, gu, sums, sums_d)
    six = layout.by_head(sums)[:, : layout.modes].permute(2, 0, 1)
    return torch.from_numpy(gu), six.to(u.dtype), layout.by_head(sums_d).to(u.dtype)


def trace(u: Tensor, parameters: tuple[Tensor, ...], limits: tuple[float, float]) -> tuple[Tensor, Tensor, Tensor]:
    """``y`` and the state codes re and im ``(B, T, H, N)`` int32: spans of one step, so that every end is kept."""
    layout = _Layout(u, parameters)
    y, ends = _run(u, layout, limits, 1, True)
    codes = torch.from_numpy(ends.astype(np.int32)).permute(3, 0, 4, 1, 2).flatten(1, 2)  # (2 lanes T N)
    codes = codes[:, : layout.lanes, :, : layout.modes].unflatten(1, (-1, layout.heads))  # (2 B H T N)
    re, im = codes.transpose(2, 3).unbind(0)
    return y, re, im
