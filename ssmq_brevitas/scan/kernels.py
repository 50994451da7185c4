"""The numba kernels of the fused recurrence, vectorised over batch and heads, both cores.

A chain is one head of one sequence, number ``b * H + h``, so that with H a multiple of 16 the chains of a tile lie side
by side in ``(B, T, H)``. A tile is 16 chains and walks through time in spans of ``SPAN`` steps: inside a span, a few
modes at a time, everything stays in registers. Kept for the backward pass are only the states at the ends of the
spans; the backward pass computes a span again from there, which costs no more than loading saved codes would.

Everything runs in units of state codes. Parameters come expanded to chains, ``p (patterns, N, 6, 16)``: Ā, B̄, C as re
and im, N a multiple of ``GROUP``, and ``d (patterns, 16)``; tiles ``patterns`` apart have the same heads.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange
from ssmq_jit import kernel

from ..vectors import WIDTH, accumulate, clamp, equal, fma, fnma, load, splat, store, where

SPAN = 48
GROUP = 4


@njit
def _gather(source, length, heads, tile, start, steps, block):
    """Copy ``steps`` time steps of a tile from ``(B, T, H)`` to ``block`` ``(SPAN, 16)``; no chain, no value: 0."""
    chains = source.size // length
    first = tile * WIDTH
    if heads % WIDTH == 0:
        at = (first // heads * length + start) * heads + first % heads
        for t in range(steps):
            store(block, t * WIDTH, load(source, at + t * heads))
        return
    flat = source.reshape(-1)
    for chain in range(WIDTH):
        number = first + chain
        if number < chains:
            at = (number // heads * length + start) * heads + number % heads
            for t in range(steps):
                block[t, chain] = flat[at + t * heads]
        else:
            for t in range(block.shape[0]):
                block[t, chain] = 0


@njit
def _scatter(block, length, heads, tile, start, steps, target):
    """The way back."""
    chains = target.size // length
    first = tile * WIDTH
    if heads % WIDTH == 0:
        at = (first // heads * length + start) * heads + first % heads
        for t in range(steps):
            store(target, at + t * heads, load(block, t * WIDTH))
        return
    flat = target.reshape(-1)
    for chain in range(min(WIDTH, chains - first)):
        number = first + chain
        at = (number // heads * length + start) * heads + number % heads
        for t in range(steps):
            flat[at + t * heads] = block[t, chain]


@njit
def _copy(x, target):
    """``target[...] = x`` of three axes: numba's own takes seconds to compile, for the message of shapes that differ."""
    for n in range(x.shape[0]):
        for part in range(x.shape[1]):
            for chain in range(x.shape[2]):
                target[n, part, chain] = x[n, part, chain]


@njit
def _parameters(p, at):
    return load(p, at), load(p, at + 16), load(p, at + 32), load(p, at + 48), load(p, at + 64), load(p, at + 80)


@njit
def _rounded(re, im, a_re, a_im, b_re, b_im, drive, magic):
    """The sum Ā x + B̄ u of one mode, exact, then rounded."""
    s_re = fma(a_re, re, fnma(a_im, im, b_re * drive))
    s_im = fma(a_re, im, fma(a_im, re, b_im * drive))
    return (s_re + magic) - magic, (s_im + magic) - magic


@njit
def _next(re, im, a_re, a_im, b_re, b_im, drive, magic, low, high):
    s_re, s_im = _rounded(re, im, a_re, a_im, b_re, b_im, drive, magic)
    return clamp(s_re, low, high), clamp(s_im, low, high)


@njit
def _forward_span(p, at, steps, low_code, high_code, rounder, u, y, x):
    """Four modes, from ``p.flat[at]`` on, over one span: add to ``y``, move ``x`` ``(4, 2, 16)`` on.

    Four, because a mode has to wait for its own rounding and the others fill the time.
    """
    low, high, magic = splat(low_code), splat(high_code), splat(rounder)
    a_re0, a_im0, b_re0, b_im0, c_re0, c_im0 = _parameters(p, at)
    a_re1, a_im1, b_re1, b_im1, c_re1, c_im1 = _parameters(p, at + 6 * WIDTH)
    a_re2, a_im2, b_re2, b_im2, c_re2, c_im2 = _parameters(p, at + 12 * WIDTH)
    a_re3, a_im3, b_re3, b_im3, c_re3, c_im3 = _parameters(p, at + 18 * WIDTH)
    re0, im0, re1, im1 = load(x, 0), load(x, 16), load(x, 32), load(x, 48)
    re2, im2, re3, im3 = load(x, 64), load(x, 80), load(x, 96), load(x, 112)
    for t in range(steps):
        drive = load(u, t * WIDTH)
        re0, im0 = _next(re0, im0, a_re0, a_im0, b_re0, b_im0, drive, magic, low, high)
        re1, im1 = _next(re1, im1, a_re1, a_im1, b_re1, b_im1, drive, magic, low, high)
        re2, im2 = _next(re2, im2, a_re2, a_im2, b_re2, b_im2, drive, magic, low, high)
        re3, im3 = _next(re3, im3, a_re3, a_im3, b_re3, b_im3, drive, magic, low, high)
        left = fnma(c_im1, im1, fma(c_re1, re1, fnma(c_im0, im0, fma(c_re0, re0, load(y, t * WIDTH)))))
        right = fnma(c_im3, im3, fma(c_re3, re3, fnma(c_im2, im2, c_re2 * re2)))
        store(y, t * WIDTH, left + right)
    store(x, 0, re0)
    store(x, 16, im0)
    store(x, 32, re1)
    store(x, 48, im1)
    store(x, 64, re2)
    store(x, 80, im2)
    store(x, 96, re3)
    store(x, 112, im3)


@kernel(parallel=True)
def forward(p, d, low, high, rounder, span, u, y, ends):
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
            for n in range(0, modes, GROUP):
                at = (pattern * modes + n) * 6 * WIDTH
                _forward_span(p, at, steps, low, high, rounder, drive, sums, x[n : n + GROUP])
            _scatter(sums, length, heads, tile, start, steps, y)
            if ends.size:
                _copy(x, ends[tile, start // span])


@njit
def _keep(states, inside, mode, t, s_re, s_im, re, im):
    row = (mode * states.shape[1] + t + 1) * 2 * WIDTH
    store(states, row, re)
    store(states, row + 16, im)
    inside[mode, t, 0], inside[mode, t, 1] = equal(s_re, re), equal(s_im, im)


@njit
def _states_span(p, at, steps, low_code, high_code, rounder, u, x, states, inside):
    """Four modes over one span again, from ``x`` on.

    Fills ``states`` ``(4, SPAN + 1, 2, 16)``, the first of them ``x``, and ``inside`` ``(4, SPAN, 2)``, whose bits are
    the chains that do not saturate.
    """
    low, high, magic = splat(low_code), splat(high_code), splat(rounder)
    a_re0, a_im0, b_re0, b_im0, _, _ = _parameters(p, at)
    a_re1, a_im1, b_re1, b_im1, _, _ = _parameters(p, at + 6 * WIDTH)
    a_re2, a_im2, b_re2, b_im2, _, _ = _parameters(p, at + 12 * WIDTH)
    a_re3, a_im3, b_re3, b_im3, _, _ = _parameters(p, at + 18 * WIDTH)
    re0, im0, re1, im1 = load(x, 0), load(x, 16), load(x, 32), load(x, 48)
    re2, im2, re3, im3 = load(x, 64), load(x, 80), load(x, 96), load(x, 112)
    _copy(x, states[:, 0])
    for t in range(steps):
        drive = load(u, t * WIDTH)
        s_re, s_im = _rounded(re0, im0, a_re0, a_im0, b_re0, b_im0, drive, magic)
        re0, im0 = clamp(s_re, low, high), clamp(s_im, low, high)
        _keep(states, inside, 0, t, s_re, s_im, re0, im0)
        s_re, s_im = _rounded(re1, im1, a_re1, a_im1, b_re1, b_im1, drive, magic)
        re1, im1 = clamp(s_re, low, high), clamp(s_im, low, high)
        _keep(states, inside, 1, t, s_re, s_im, re1, im1)
        s_re, s_im = _rounded(re2, im2, a_re2, a_im2, b_re2, b_im2, drive, magic)
        re2, im2 = clamp(s_re, low, high), clamp(s_im, low, high)
        _keep(states, inside, 2, t, s_re, s_im, re2, im2)
        s_re, s_im = _rounded(re3, im3, a_re3, a_im3, b_re3, b_im3, drive, magic)
        re3, im3 = clamp(s_re, low, high), clamp(s_im, low, high)
        _keep(states, inside, 3, t, s_re, s_im, re3, im3)


@njit
def _adjoint(l_re, l_im, c_re, c_im, weight, inside, t):
    """The gradient of one mode's sums, 0 where they saturated."""
    return where(inside[t, 0], fma(c_re, weight, l_re)), where(inside[t, 1], fnma(c_im, weight, l_im))


@njit
def _store_sums(sums, ga_re, ga_im, gb_re, gb_im, gc_re, gc_im):
    accumulate(sums, 0, ga_re)
    accumulate(sums, 16, ga_im)
    accumulate(sums, 32, gb_re)
    accumulate(sums, 48, gb_im)
    accumulate(sums, 64, gc_re)
    accumulate(sums, 80, gc_im)


@njit
def _backward_span(p, at, steps, u, g, states, inside, gu, adjoint, sums):
    """Two modes backwards over one span; adds to ``gu`` and ``sums`` ``(2, 6, 16)``, moves ``adjoint`` ``(2, 2, 16)`` on."""
    a_re, a_im, b_re, b_im, c_re, c_im = _parameters(p, at)
    A_re, A_im, B_re, B_im, C_re, C_im = _parameters(p, at + 6 * WIDTH)
    l_re, l_im, L_re, L_im = load(adjoint, 0), load(adjoint, 16), load(adjoint, 32), load(adjoint, 48)
    zero = splat(u.dtype.type(0))
    ga_re, ga_im, gb_re, gb_im, gc_re, gc_im = zero, zero, zero, zero, zero, zero
    gA_re, gA_im, gB_re, gB_im, gC_re, gC_im = zero, zero, zero, zero, zero, zero
    second = states.shape[1] * 2 * WIDTH
    row = steps * 2 * WIDTH
    re, im, Re, Im = load(states, row), load(states, row + 16), load(states, second + row), load(states, second + row + 16)
    for back in range(steps):
        t = steps - 1 - back
        drive, weight = load(u, t * WIDTH), load(g, t * WIDTH)
        v_re, v_im = _adjoint(l_re, l_im, c_re, c_im, weight, inside[0], t)
        V_re, V_im = _adjoint(L_re, L_im, C_re, C_im, weight, inside[1], t)
        gc_re, gc_im = fma(weight, re, gc_re), fnma(weight, im, gc_im)
        gC_re, gC_im = fma(weight, Re, gC_re), fnma(weight, Im, gC_im)
        row = t * 2 * WIDTH
        re, im, Re, Im = load(states, row), load(states, row + 16), load(states, second + row), load(states, second + row + 16)
        ga_re, ga_im = fma(v_im, im, fma(v_re, re, ga_re)), fnma(v_re, im, fma(v_im, re, ga_im))
        gA_re, gA_im = fma(V_im, Im, fma(V_re, Re, gA_re)), fnma(V_re, Im, fma(V_im, Re, gA_im))
        gb_re, gb_im = fma(v_re, drive, gb_re), fma(v_im, drive, gb_im)
        gB_re, gB_im = fma(V_re, drive, gB_re), fma(V_im, drive, gB_im)
        out = fma(b_im, v_im, fma(b_re, v_re, load(gu, t * WIDTH)))
        store(gu, t * WIDTH, fma(B_im, V_im, fma(B_re, V_re, out)))
        l_re, l_im = fma(a_im, v_im, a_re * v_re), fnma(a_im, v_re, a_re * v_im)
        L_re, L_im = fma(A_im, V_im, A_re * V_re), fnma(A_im, V_re, A_re * V_im)
    store(adjoint, 0, l_re)
    store(adjoint, 16, l_im)
    store(adjoint, 32, L_re)
    store(adjoint, 48, L_im)
    _store_sums(sums[0], ga_re, ga_im, gb_re, gb_im, gc_re, gc_im)
    _store_sums(sums[1], gA_re, gA_im, gB_re, gB_im, gC_re, gC_im)


@kernel(parallel=True)
def backward(p, d, low, high, rounder, u, ends, gy, gu, sums, sums_d):
    """Fill ``gu`` and add to the float64 ``sums`` ``(tiles, N, 6, 16)`` (as ``p``) and ``sums_d`` ``(tiles, 16)``."""
    length, heads = u.shape[1], u.shape[2]
    patterns, modes = p.shape[0], p.shape[1]
    tiles = (u.shape[0] * heads + WIDTH - 1) // WIDTH
    for tile in prange(tiles):
        drive, weight, out = (
            np.empty((SPAN, WIDTH), u.dtype),
            np.empty((SPAN, WIDTH), u.dtype),
            np.empty((SPAN, WIDTH), u.dtype),
        )
        states, inside = np.empty((GROUP, SPAN + 1, 2, WIDTH), u.dtype), np.empty((GROUP, SPAN, 2), np.uint16)
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
                gd = fma(row, load(drive, t * WIDTH), gd)
            accumulate(sums_d, tile * WIDTH, gd)
            before = ends[tile, span - 1] if span else origin
            for n in range(0, modes, GROUP):
                at = (pattern * modes + n) * 6 * WIDTH
                _states_span(p, at, steps, low, high, rounder, drive, before[n : n + GROUP], states, inside)
                for m in range(0, GROUP, 2):
                    _backward_span(
                        p, at + m * 6 * WIDTH, steps, drive, weight, states[m : m + 2], inside[m : m + 2], out,
                        adjoint[n + m : n + m + 2], sums[tile, n + m : n + m + 2],
                    )  # fmt: skip
            _scatter(out, length, heads, tile, start, steps, gu)
