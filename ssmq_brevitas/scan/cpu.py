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
def _step(ar, ai, br, bi, cr, ci, low, high, rounder, u, xr, xi, y, codes_r, codes_i):
    for n in range(xr.shape[0]):
        # In locals, or every iteration of the vector loop would load them again.
        a_re, a_im, b_re, b_im, c_re, c_im = ar[n], ai[n], br[n], bi[n], cr[n], ci[n]
        for b in range(u.shape[0]):
            sr = a_re * xr[n, b] - a_im * xi[n, b] + b_re * u[b]
            si = a_re * xi[n, b] + a_im * xr[n, b] + b_im * u[b]
            # Saturating first is the same, for the limits are integers.
            sr = (min(max(sr, low), high) + rounder) - rounder
            si = (min(max(si, low), high) + rounder) - rounder
            xr[n, b] = sr
            xi[n, b] = si
            y[b] += c_re * sr - c_im * si
            codes_r[n, b] = sr
            codes_i[n, b] = si


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
            _step(
                ar[h], ai[h], br[h], bi[h], cr[h], ci[h], low, high, rounder,
                u[h, t], xr, xi, y[h, t], codes[h, at, 0], codes[h, at, 1],
            )


@njit(cache=True, fastmath=_FAST)
def _step_back(ar, ai, br, bi, cr, ci, below, above, u, g, codes_r, codes_i, before_r, before_i, lr, li, gu, sums):
    zero = u.dtype.type(0)
    for n in range(lr.shape[0]):
        a_re, a_im, b_re, b_im, c_re, c_im = ar[n], ai[n], br[n], bi[n], cr[n], ci[n]
        gar = gai = gbr = gbi = gcr = gci = zero
        for b in range(u.shape[0]):
            pr = u.dtype.type(before_r[n, b])
            pi = u.dtype.type(before_i[n, b])
            sr = a_re * pr - a_im * pi + b_re * u[b]
            si = a_re * pi + a_im * pr + b_im * u[b]
            vr = lr[n, b] + c_re * g[b]
            vi = li[n, b] - c_im * g[b]
            vr = vr if (sr >= below and sr < above) else zero
            vi = vi if (si >= below and si < above) else zero
            gar += vr * pr + vi * pi
            gai += vi * pr - vr * pi
            gbr += vr * u[b]
            gbi += vi * u[b]
            gcr += g[b] * u.dtype.type(codes_r[n, b])
            gci -= g[b] * u.dtype.type(codes_i[n, b])
            gu[b] += b_re * vr + b_im * vi
            lr[n, b] = a_re * vr + a_im * vi
            li[n, b] = a_re * vi - a_im * vr
        sums[n, 0] += gar
        sums[n, 1] += gai
        sums[n, 2] += gbr
        sums[n, 3] += gbi
        sums[n, 4] += gcr
        sums[n, 5] += gci


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
            before = codes[h, t - 1] if t > 0 else start
            _step_back(
                ar[h], ai[h], br[h], bi[h], cr[h], ci[h], below, above, u[h, t], gy[h, t],
                codes[h, t, 0], codes[h, t, 1], before[0], before[1], lr, li, gu[h, t], sums[h],
            )
        gd[h] = total_d
