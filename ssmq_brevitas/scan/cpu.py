"""The fused recurrence on the CPU: numba kernels, one head a task, vectorised over the batch.

Everything runs in units of state codes (the caller folds the state's scale into B̄ and C), so a step is one complex
multiply-add, a saturation and a rounding. Layouts put the batch last: ``u, y (H, T, B)``, ``codes (H, T, 2, N, B)``.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

# Without reassociation: adding and subtracting the magic number below is the rounding.
_EXACT = {"contract", "nsz", "nnan", "ninf"}
# Forward sums are exact in any order; backward ones are floats whose order the compiled kernel fixes.
_FAST = {"contract", "nsz", "nnan", "ninf", "reassoc", "arcp"}


def magic(dtype: np.dtype) -> np.floating:
    """1.5 * 2**(p-1): added and subtracted, it rounds |s| < 2**(p-2) half to even in the p-bit significand."""
    return np.dtype(dtype).type(1.5 * 2.0 ** (23 if np.dtype(dtype) == np.float32 else 52))


@njit(cache=True, fastmath=_EXACT)
def _step(ar, ai, br, bi, cr, ci, low, high, rounder, u, xr, xi, y, code_r, code_i):
    for b in range(u.shape[0]):
        sr = ar * xr[b] - ai * xi[b] + br * u[b]
        si = ar * xi[b] + ai * xr[b] + bi * u[b]
        # Saturating first is the same, for the limits are integers.
        sr = (min(max(sr, low), high) + rounder) - rounder
        si = (min(max(si, low), high) + rounder) - rounder
        xr[b] = sr
        xi[b] = si
        y[b] += cr * sr - ci * si
        code_r[b] = sr
        code_i[b] = si


@njit(parallel=True, cache=True)
def forward(ar, ai, br, bi, cr, ci, d, low, high, rounder, u, y, codes, keep):
    """Fill ``y`` and, with ``keep``, ``codes``; without it ``codes`` has one time step, used as scratch.

    ``ar .. ci`` ``(H, N)`` in code units (B̄ / scale, 2 C * scale), ``d`` ``(H,)``.
    """
    heads, length, batch = u.shape
    modes = ar.shape[1]
    for h in prange(heads):
        xr = np.zeros((modes, batch), u.dtype)
        xi = np.zeros((modes, batch), u.dtype)
        for t in range(length):
            for b in range(batch):
                y[h, t, b] = d[h] * u[h, t, b]
            at = t if keep else 0
            for n in range(modes):
                _step(
                    ar[h, n], ai[h, n], br[h, n], bi[h, n], cr[h, n], ci[h, n], low, high, rounder,
                    u[h, t], xr[n], xi[n], y[h, t], codes[h, at, 0, n], codes[h, at, 1, n],
                )


@njit(cache=True, fastmath=_FAST)
def _step_back(ar, ai, br, bi, cr, ci, below, above, u, g, code_r, code_i, prev_r, prev_i, lr, li, gu, sums):
    zero = u.dtype.type(0)
    gar = gai = gbr = gbi = gcr = gci = zero
    for b in range(u.shape[0]):
        pr = u.dtype.type(prev_r[b])
        pi = u.dtype.type(prev_i[b])
        sr = ar * pr - ai * pi + br * u[b]
        si = ar * pi + ai * pr + bi * u[b]
        vr = lr[b] + cr * g[b]
        vi = li[b] - ci * g[b]
        vr = vr if (sr >= below and sr < above) else zero
        vi = vi if (si >= below and si < above) else zero
        gar += vr * pr + vi * pi
        gai += vi * pr - vr * pi
        gbr += vr * u[b]
        gbi += vi * u[b]
        gcr += g[b] * code_r[b]
        gci -= g[b] * code_i[b]
        gu[b] += br * vr + bi * vi
        lr[b] = ar * vr + ai * vi
        li[b] = ar * vi - ai * vr
    sums[0] += gar
    sums[1] += gai
    sums[2] += gbr
    sums[3] += gbi
    sums[4] += gcr
    sums[5] += gci


@njit(parallel=True, cache=True)
def backward(ar, ai, br, bi, cr, ci, d, low, high, u, codes, gy, gu, sums, gd):
    """Fill ``gu`` ``(H, T, B)``, ``sums`` ``(H, N, 6)`` float64 (Ā, B̄, C; re, im; code units) and ``gd`` ``(H,)``."""
    heads, length, batch = u.shape
    modes = ar.shape[1]
    half = u.dtype.type(0.5)
    # Ties go to even codes: low is even and keeps its tie, high is odd and passes it on, out of range.
    below = low - half
    above = high + half
    for h in prange(heads):
        lr = np.zeros((modes, batch), u.dtype)
        li = np.zeros((modes, batch), u.dtype)
        start = np.zeros((2, modes, batch), codes.dtype)
        total_d = 0.0
        for back in range(length):
            t = length - 1 - back
            row = u.dtype.type(0)
            for b in range(batch):
                gu[h, t, b] = d[h] * gy[h, t, b]
                row += gy[h, t, b] * u[h, t, b]
            total_d += row
            previous = codes[h, t - 1] if t > 0 else start
            for n in range(modes):
                _step_back(
                    ar[h, n], ai[h, n], br[h, n], bi[h, n], cr[h, n], ci[h, n], below, above,
                    u[h, t], gy[h, t], codes[h, t, 0, n], codes[h, t, 1, n], previous[0, n], previous[1, n],
                    lr[n], li[n], gu[h, t], sums[h, n],
                )
        gd[h] = total_d
