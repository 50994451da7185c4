"""``DiagonalScan`` on integers: the recurrence of one S4D layer over a whole sequence, its state inside.

    sum(t) = a x(t - 1) + b u(t)            exact, complex, mode by mode
    x(t)   = saturate(round_half_even(sum(t) / 2**shift))
    y(t)   = Re(c x(t)) summed over the modes of a head, + d u(t)

All tensors hold integer codes; the specification is ``docs/diagonal-scan.md``. Loops, not convolutions: the rounding of
every state makes the recurrence non-linear.
"""

from __future__ import annotations

import numba
import numpy as np
from ssmq_jit import kernel

from ..errors import ExportError
from .ranges import Range
from .scan_operands import INPUTS, unfit_shapes, unfit_shift, unfit_state


def scan(u: np.ndarray, parameters: dict[str, np.ndarray], state_bits: int) -> np.ndarray:
    """``y`` int64 (B, T, H) of codes ``u`` (B, T, H); ``parameters`` by the names of ``INPUTS``.

    Raises ExportError for what does not fit each other, and where a sum could pass 63 bits.
    """
    wrong = unfit_shapes(u.shape[-1], {name: np.shape(values) for name, values in parameters.items()})
    wrong = wrong or unfit_state(state_bits) or unfit_shift(parameters["shift"])
    if wrong:
        raise ExportError(f"DiagonalScan: {wrong}")
    integers = {name: np.ascontiguousarray(values, np.int64) for name, values in parameters.items()}
    u = np.ascontiguousarray(u, np.int64)
    if _largest(u, integers, state_bits) >= 2.0**62:
        raise ExportError("DiagonalScan: its sums need more than 63 bits: choose narrower formats")
    shift = np.ascontiguousarray(np.broadcast_to(integers["shift"], integers["a_re"].shape))
    return _scan(u, *(integers[name] for name in INPUTS[1:-1]), shift, state_bits)


def _largest(u: np.ndarray, integers: dict[str, np.ndarray], state_bits: int) -> float:
    """No sum, rounding offset included, is larger."""
    size = {name: np.abs(values).astype(np.float64) for name, values in integers.items()}
    state, given = 2.0 ** (state_bits - 1), float(np.abs(u).max(initial=0))
    driven = np.maximum(size["b_re"], size["b_im"]) * given
    sums = (size["a_re"] + size["a_im"]) * state + driven + 2.0 ** size["shift"]
    y = (size["c_re"] + size["c_im"]).sum(axis=1) * state + size["d"] * given
    return max(float(sums.max()), float(y.max()))


def output_ranges(parameters: dict[str, np.ndarray], low: np.ndarray | int, high: np.ndarray | int, state_bits: int) -> Range:
    """Least and greatest code of ``y`` of every head for ``u`` in ``low .. high`` and states anywhere in their format."""
    state = np.array([-(1 << (state_bits - 1)), (1 << (state_bits - 1)) - 1])
    terms = [(np.asarray(parameters["c_re"]), state), (-np.asarray(parameters["c_im"]), state)]
    ends = [np.sort(np.stack([weight * ends[0], weight * ends[1]]), axis=0).sum(axis=2) for weight, ends in terms]
    direct = np.sort(np.stack([np.asarray(parameters["d"]) * low, np.asarray(parameters["d"]) * high]), axis=0)
    lowest, highest = (sum(ends) + direct).astype(np.int64)
    return lowest, highest


def output_range(parameters: dict[str, np.ndarray], low: int, high: int, state_bits: int) -> tuple[int, int]:
    """Of all heads together."""
    lowest, highest = output_ranges(parameters, low, high, state_bits)
    return int(lowest.min()), int(highest.max())


@kernel()
def _scan(u, a_re, a_im, b_re, b_im, c_re, c_im, d, shift, bits):
    batch, steps, heads = u.shape
    modes = a_re.shape[1]
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    y = np.empty_like(u)
    re, im = np.empty(modes, np.int64), np.empty(modes, np.int64)
    for b in range(batch):
        for h in range(heads):
            re[:] = 0
            im[:] = 0
            for t in range(steps):
                pixel = u[b, t, h]
                total = d[h] * pixel
                for n in range(modes):
                    sum_re = a_re[h, n] * re[n] - a_im[h, n] * im[n] + b_re[h, n] * pixel
                    sum_im = a_re[h, n] * im[n] + a_im[h, n] * re[n] + b_im[h, n] * pixel
                    re[n] = min(max(_rounded(sum_re, shift[h, n]), low), high)
                    im[n] = min(max(_rounded(sum_im, shift[h, n]), low), high)
                    total += c_re[h, n] * re[n] - c_im[h, n] * im[n]
                y[b, t, h] = total
    return y


@numba.njit(inline="always")
def _rounded(total, shift):
    """``total / 2**shift``, ties to even."""
    if shift == 0:
        return total
    return (total + (1 << (shift - 1)) - 1 + ((total >> shift) & 1)) >> shift
