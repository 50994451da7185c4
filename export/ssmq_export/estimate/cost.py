"""Cycles, latency and resources of one node at a chosen parallelism: one function a kind of work."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, prod

from ..errors import ExportError
from . import primitives as p
from .parts import Family
from .primitives import Cost
from .work import Work


# A scan's update of a state: a product, two sums, a rounding; and the loop through it, with a write and a read.
UPDATE = 3 + 1 + 1 + 2
SCAN_LOOP = UPDATE + 2


@dataclass(frozen=True)
class Folding:
    """``lanes``: operations done in parallel along each of the work's dims. ``use_dsp``: products in hardware
    multipliers where they are worth one. ExportError for lanes that are none, and where they do not divide the dims."""

    lanes: tuple[int, ...]
    use_dsp: bool = True

    def __post_init__(self):
        if not self.lanes or not all(type(lanes) is int and lanes > 0 for lanes in self.lanes):
            raise ExportError(f"lanes must be whole numbers from 1, not {self.lanes}")

    @property
    def parallel(self) -> int:
        return prod(self.lanes)


def _fit(work: Work, folding: Folding) -> None:
    if len(folding.lanes) != len(work.dims) or any(n % lanes for n, lanes in zip(work.dims, folding.lanes, strict=True)):
        sizes, lanes = (", ".join(map(str, numbers)) for numbers in (work.dims, folding.lanes))
        raise ExportError(f"node {work.name}: its lanes must be divisors of {sizes}, not {lanes}")


def cycles(work: Work, folding: Folding) -> int:
    """Cycles between two steps of one node: its operations over its lanes, FINN's (MW / SIMD) (MH / PE)."""
    _fit(work, folding)
    return work.items // folding.parallel


def latency(work: Work, folding: Folding) -> int:
    """Cycles from the first input of a step to its first output.

    A multiplier has 3 pipeline stages (those of a DSP48, UG479; one in LUTs is given as many); a sum waits for all
    terms of its first output and for the adder tree; thresholds are found bit by bit; a state takes a write and a read.
    """
    _fit(work, folding)
    if work.kind == "scan":
        summed = next(part for part in work.parts if part.kind == "gather")
        return UPDATE + latency(summed, folding)
    if work.kind in ("dense", "gather"):
        terms, parallel = work.dims[1], folding.lanes[1]
        return 3 + terms // parallel + (parallel - 1).bit_length()
    return {
        "spread": 3,
        "multiply": 3,
        "shift": 1,
        "add": 1,
        "round": 2,
        "threshold": work.out + 1,
        "state": 2,
        "fork": 1,
    }[work.kind]


def resources(work: Work, folding: Folding, family: Family) -> Cost:
    """What the node takes: its lanes, its memory, its control."""
    _fit(work, folding)
    if work.parts:
        parts = sum((resources(part, _of_part(work, part, folding), family) for part in work.parts), Cost())
        return parts + p.control(cycles(work, folding))
    lanes = _LANES[work.kind](work, folding, family)
    return lanes + _memory(work, folding, family) + p.control(cycles(work, folding))


def _of_part(work: Work, part: Work, folding: Folding) -> Folding:
    """Lanes of a part of a scan over ``(heads, modes)``: all of them, or those of the heads."""
    heads, modes = folding.lanes
    if len(part.dims) == 2:
        return folding
    return Folding((heads if part.dims[0] == work.dims[0] != work.items else heads * modes,), folding.use_dsp)


def _memory(work: Work, folding: Folding, family: Family) -> Cost:
    """Stored words side by side in as many lanes as read them at once."""
    if not work.stored or work.kind == "threshold":
        return Cost()
    parallel = min(folding.parallel, work.stored)
    written = work.kind in ("state", "fork")
    return p.memory(ceil(work.stored / parallel), parallel * work.right, family, written)


def _product(work: Work, folding: Folding, family: Family) -> Cost:
    return p.multiplier(work.left, work.right, family, folding.use_dsp) * folding.parallel


def _sum(work: Work, folding: Folding, family: Family) -> Cost:
    """Products, a tree of adders over those of one output, and an accumulator where it takes several cycles."""
    outputs, terms = folding.lanes
    adders = outputs * (terms - 1) + (outputs if terms < work.dims[1] else 0)
    cost = _product(work, folding, family) + p.adder(work.out) * adders
    if work.kind == "dense":
        # Inputs are kept while the outputs that need them are computed one after another.
        cost += p.memory(ceil(work.dims[1] / terms), terms * work.left, family, written=True)
    return cost


def _threshold(work: Work, folding: Folding, family: Family) -> Cost:
    """A binary search a lane: stage k compares with one of 2**k thresholds a channel, kept in a memory of its own.

    One stage a bit of the count, as in FINN's RTL thresholding. A single row of thresholds is copied to each lane.
    """
    parallel, levels = folding.parallel, work.levels
    rows = max(1, work.dims[0] // parallel) if work.stored > levels else 1
    cost, stage = Cost(), 0
    while (1 << stage) - 1 < levels:
        words = min(1 << stage, levels - (1 << stage) + 1) * rows
        cost += p.memory(words, work.right, family) + p.comparator(work.right) + Cost(ff=work.left + stage)
        stage += 1
    return cost * parallel


_LANES = {
    "spread": _product,
    "multiply": _product,
    "gather": _sum,
    "dense": _sum,
    "shift": lambda work, folding, family: p.shifter(work.out, work.choices) * folding.parallel,
    "add": lambda work, folding, family: p.adder(work.out) * folding.parallel,
    "round": lambda work, folding, family: p.rounder(work.left, work.out) * folding.parallel,
    "threshold": _threshold,
    "state": lambda work, folding, family: Cost(),
    "fork": lambda work, folding, family: Cost(ff=work.out) * folding.parallel,
}
