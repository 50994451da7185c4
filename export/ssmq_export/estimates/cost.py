"""Resources of one operation at a chosen folding: one function a kind of part."""

from __future__ import annotations

from math import prod

from ..dataflow.folding import Folding, refuse_misfit
from ..dataflow.hardware import Part
from ..dataflow.operation import Operation
from . import primitives as p
from .parts import Family
from .primitives import Cost


def resources(operation: Operation, folding: Folding, family: Family) -> Cost:
    """What an operation takes: the lanes and the memory of its parts, and its control."""
    refuse_misfit(operation, folding)
    return resources_of(operation.parts, operation.dims, folding, family)


def resources_of(parts: tuple[Part, ...], dims: tuple[int, ...], folding: Folding, family: Family) -> Cost:
    """As ``resources``, of parts that are folded together."""
    cost = Cost()
    for part in parts:
        lanes = _of_part(part, dims, folding)
        cost += _LANES[part.kind](part, lanes, family) + _memory(part, lanes, family)
    return cost + p.control(prod(dims) // folding.parallel)


def _of_part(part: Part, dims: tuple[int, ...], folding: Folding) -> Folding:
    """Lanes of a part of a scan over ``(heads, modes)``: all of them, or those of the heads."""
    if len(part.dims) == len(dims):
        return folding
    heads, modes = folding.lanes
    return Folding((heads if part.dims[0] == dims[0] else heads * modes,), folding.use_dsp)


def _memory(part: Part, folding: Folding, family: Family) -> Cost:
    """Stored words side by side in as many lanes as read them at once."""
    if not part.stored or part.kind == "compare":
        return Cost()
    words = part.stored // folding.parallel
    return p.memory(words, folding.parallel * part.right, family, written=part.kind in ("state", "fork"))


def _product(part: Part, folding: Folding, family: Family) -> Cost:
    return p.multiplier(part.left, part.right, family, folding.use_dsp) * folding.parallel


def _dot(part: Part, folding: Folding, family: Family) -> Cost:
    """Products, a tree of adders over those of one output, and an accumulator where it takes several cycles."""
    outputs, terms = folding.lanes
    adders = outputs * (terms - 1) + (outputs if terms < part.dims[1] else 0)
    cost = _product(part, folding, family) + p.adder(part.out) * adders
    if part.buffered:
        cost += p.memory(part.dims[1] // terms, terms * part.left, family, written=True)
    return cost


def _compare(part: Part, folding: Folding, family: Family) -> Cost:
    """A binary search a lane: stage k compares with one of 2**k thresholds a channel, kept in a memory of its own.

    One stage a bit of the count, as in FINN's RTL thresholding. A single row of thresholds is copied to each lane.
    """
    parallel, levels = folding.parallel, part.levels
    rows = part.dims[0] // parallel if part.stored > levels else 1
    cost, stage = Cost(), 0
    while (1 << stage) - 1 < levels:
        words = min(1 << stage, levels - (1 << stage) + 1) * rows
        cost += p.memory(words, part.right, family) + p.comparator(part.right) + Cost(ff=part.left + stage)
        stage += 1
    return cost * parallel


_LANES = {
    "multiply": _product,
    "dot": _dot,
    "shift": lambda part, folding, family: p.shifter(part.out, part.choices) * folding.parallel,
    "add": lambda part, folding, family: p.adder(part.out) * folding.parallel,
    "round": lambda part, folding, family: p.rounder(part.left, part.out) * folding.parallel,
    "compare": _compare,
    "state": lambda part, folding, family: Cost(),
    "fork": lambda part, folding, family: Cost(ff=part.out) * folding.parallel,
}
