"""The multipliers of a design: which of them are the device's, and which LUTs."""

from __future__ import annotations

from dataclasses import replace

from .library import MULTIPLIED
from .netlist import Cell

# Of the modules with one factor a lane, the parameters of its widths and how many more bits each has.
FACTORS = {
    "ssmq_affine": (("IN_BITS", 1), ("FACTOR_BITS", 0)),
    "ssmq_matvec": (("IN_BITS", 1), ("WEIGHT_BITS", 0)),
    "ssmq_product": (("A_BITS", 1), ("B_BITS", 1)),
}


def multipliers(cell: Cell) -> list[tuple[int, int]]:
    """The widths of both factors of every multiplier in ``cell``."""
    has = cell.parameters
    if cell.module == "ssmq_scan":
        given, state = has["IN_BITS"] + 1, has["STATE_BITS"]
        driven = [has["B_RE_KIND"], has["B_IM_KIND"]].count(MULTIPLIED)
        mode = [(has["A_BITS"], state)] * 4 + [(given, has["B_BITS"])] * driven + [(state, has["C_BITS"])] * 2
        return (mode * has["MODES"] + [(given, has["D_BITS"])]) * has["HEADS"]
    if cell.module not in FACTORS or has.get("COMMON") or has.get("POWERS") or not has.get("FACTOR_BITS", 1):
        return []
    left, right = (has[name] + more for name, more in FACTORS[cell.module])
    lanes = has["PE"] * has["SIMD"] if cell.module == "ssmq_matvec" else has["LANES"]
    return [(left, right)] * lanes


def with_multipliers(cells: list[Cell], count: int) -> list[Cell]:
    """``cells``, the widest products in ``count`` multipliers of the device and the others in LUTs."""
    needed = {cell.name: multipliers(cell) for cell in cells}
    bits = {name: sum(a * b for a, b in found) / len(found) for name, found in needed.items() if found}
    for name in sorted(bits, key=lambda name: (-bits[name], name)):
        if len(needed[name]) <= count:
            count -= len(needed[name])
        else:
            cells = [in_luts(cell) if cell.name == name else cell for cell in cells]
    return cells


def in_luts(cell: Cell) -> Cell:
    """``cell`` with multipliers of LUTs."""
    return replace(cell, parameters={**cell.parameters, "STYLE": 1}) if multipliers(cell) else cell
