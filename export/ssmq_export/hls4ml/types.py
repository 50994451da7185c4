"""Fixed-point types that hold a tensor exactly: no rounding and no overflow anywhere but in a Quant."""

from __future__ import annotations

import numpy as np

from ..dataflow.grids import Grid

# ap_fixed values travel through C++ doubles on their way in and out, and weights through decimal text.
WIDEST = 53


def fixed_type(grid: Grid) -> str:
    """hls4ml's name of the narrowest fixed-point type with every value of ``grid``.

    Channels share one type: it reaches from the finest exponent among them to the largest magnitude.
    """
    finest = int(grid.exponent.min())
    low, high = (int(bound) for bound in _ends(grid, finest))
    signed = low < 0
    width = max(high.bit_length(), (-low - 1).bit_length() if signed else 0, 1) + signed
    return f"{'' if signed else 'u'}fixed<{width},{width + finest}>"


def width(fixed: str) -> int:
    """Bits of a type's name."""
    return int(fixed.partition("<")[2].partition(",")[0])


def reaching(fixed: str, exponent: int) -> str:
    """``fixed``, as much wider as it takes to have a bit that stands for ``2**exponent``."""
    kind, _, sizes = fixed.rstrip(">").partition("<")
    bits, integer = map(int, sizes.split(","))
    more = max(0, exponent + 2 - integer)
    return f"{kind}<{bits + more},{integer + more}>"


def _ends(grid: Grid, finest: int) -> tuple[int, int]:
    shifts = [int(exponent) - finest for exponent in grid.exponent]
    low = min(int(code) << shift for code, shift in zip(grid.low, shifts, strict=True))
    high = max(int(code) << shift for code, shift in zip(grid.high, shifts, strict=True))
    return low, high


def dyadic(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``values`` as ``codes * 2**exponents`` with odd codes (0 stays 0, on exponent 0): int64 arrays of their shape."""
    mantissa, exponent = np.frexp(np.asarray(values, np.float64))
    codes = np.ldexp(mantissa, 53).astype(np.int64)
    lowest = np.where(codes != 0, codes & -codes, 1)
    trailing = np.round(np.log2(lowest.astype(np.float64))).astype(np.int64)
    return codes >> trailing, np.where(codes != 0, exponent.astype(np.int64) - 53 + trailing, 0)


def constant_grid(values: np.ndarray) -> Grid:
    """A constant as a grid of one channel a value, each on its own coarsest exponent."""
    codes, exponents = dyadic(np.ravel(values))
    if np.any(codes != 0):
        # A zero lies on every grid; it must not be what makes the type fine.
        exponents = np.where(codes != 0, exponents, exponents[codes != 0].min())
    return Grid(exponents, codes, codes)


def fits(grid: Grid, bits: int) -> bool:
    """Whether a float with ``bits`` of mantissa holds every value of ``grid``, channel by channel."""
    return bool(max(int(np.abs(grid.low).max()), int(np.abs(grid.high).max())) <= 1 << bits)
