"""What the modules of the RTL library take, fitted to measured synthesis (``calibration.json``, by ``scripts/fit_modules.py``).

    print(taken(manifest.design().cells, find_part("lfe5u-25f")))

Amounts of what a module is made of (``modules.py``, ``amounts.py``) times what one of each takes in that module on a family.
Multipliers and blocks of RAM are counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from math import prod

from pydantic import BaseModel, ConfigDict, TypeAdapter

from ..rtl.multipliers import in_luts, multipliers
from ..rtl.netlist import Cell
from .amounts import Amounts
from .modules import made_of
from .parts import ECP5, Family, Part
from .primitives import Cost

FILE = "calibration.json"
# Families whose LUTs hold a register each, which takes one of its own where no logic is before it.
SHARED = frozenset({"ice40"})


class Fit(BaseModel):
    """Of one module: LUTs and registers by what they are of."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    lut: dict[str, float]
    ff: dict[str, float]


class Calibration(BaseModel):
    """Of one family. ``together``: what is left of the LUTs and registers of modules in a design, where they share logic."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    together: tuple[float, float]
    modules: dict[str, Fit]


@cache
def calibrations() -> dict[str, Calibration]:
    """By family."""
    text = files(__package__).joinpath(FILE).read_text()
    return TypeAdapter(dict[str, Calibration]).validate_json(text)


def is_calibrated(family: Family) -> bool:
    return family.measured in calibrations()


def columns(amounts: Amounts) -> tuple[Mapping[str, float], Mapping[str, float]]:
    """Amounts that take LUTs, and those that take registers."""
    logic = dict(amounts.logic)
    if amounts.family.measured in SHARED:
        logic |= {f"register {name}": count for name, count in amounts.kept.items()}
    return logic, amounts.kept


def paced(cell: Cell) -> bool:
    """Whether what leaves it is always taken."""
    return any(stream.paced for stream in cell.outputs.values())


def module_cost(cell: Cell, family: Family) -> Cost:
    """What an instance takes in a design."""
    found = calibrations()[family.measured]
    fit, amounts = found.modules[cell.module], made_of(cell.module, cell.parameters, paced(cell), family)
    lut, ff = (
        round(share * sum(each * of.get(name, 0) for name, each in fitted.items()))
        for share, fitted, of in zip(found.together, (fit.lut, fit.ff), columns(amounts), strict=True)
    )
    return Cost(lut, ff, 0 if cell.parameters.get("STYLE") else _tiles(cell, family), amounts.blocks)


def _tiles(cell: Cell, family: Family) -> int:
    """Multipliers of the device; of a product that none holds Yosys makes several on ECP5, and LUTs of a last bit."""
    return sum(_tiles_of(*factors, family) for factors in multipliers(cell))


def _tiles_of(left: int, right: int, family: Family) -> int:
    long, short = sorted(family.multiplier, reverse=True)
    if max(left, right) <= long and min(left, right) <= short:
        return 1
    return prod(bits // long + (bits % long > 1) for bits in (left, right)) if family is ECP5 else 0


def total(cells: Iterable[Cell], family: Family) -> Cost:
    """What instances take together."""
    return sum((module_cost(cell, family) for cell in cells), Cost())


def taken(cells: Iterable[Cell], part: Part) -> Cost:
    """What a design takes; of a part without multipliers all are LUTs."""
    return total(cells if part.dsp else map(in_luts, cells), part.family)
