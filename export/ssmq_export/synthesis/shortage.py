"""A part that is too small: of what, by how much, and what would fit."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil

import onnx

from ..dataflow.graph import DataflowGraph
from ..errors import ExportError
from ..estimates import LEAST, RESOURCES, Estimate, estimate_graph
from ..estimates.choice import foldings_for_part
from ..estimates.parts import Part
from ..rtl import has_layers
from .devices import DEVICES
from .report import Lack

NAMES = {"lut": "LUT", "ff": "FF", "carry": "carries", "dsp": "multipliers", "bram": "block RAM"}
# MHz for which a folding is named.
CLOCK = 100.0


class ShortageError(ExportError):
    """A part is too small."""


def too_small(part: Part, lacks: list[Lack], used: Mapping[str, int], graph: onnx.ModelProto | None) -> ShortageError:
    """``used``: all that was found before it ended; ``graph``: what the design was made from, where its lanes can change."""
    told = " and ".join(
        f"{lack.used:,} {NAMES[lack.resource]} are needed, {lack.used - lack.available:,} more than its {lack.available:,}"
        for lack in lacks
    )
    return ShortageError(f"{part.name} is too small: {told}: {_advice(part, used, graph)}")


def _advice(part: Part, used: Mapping[str, int], graph: onnx.ModelProto | None) -> str:
    """The fastest folding that fits, by an estimate corrected by how far that of the present one is off; else a part."""
    told, ways = "", ["ask `ssmq rtl` for fewer sequences a second"]
    if graph is not None:
        rate = _fastest(graph, part, _off(graph, part, used))
        if rate is not None:
            return f"by estimate `ssmq rtl --target {part.name} --fps {rate:g} --clock {CLOCK:g}` makes one that fits"
        told, ways = "by estimate no folding fits: ", ["try `--shape serial`"] if has_layers(graph) else []
    larger = _larger(graph, part, used)
    return told + ", ".join([*ways, *([f"take {larger}"] if larger else []), "or narrow the widths"])


def _larger(graph: onnx.ModelProto | None, part: Part, used: Mapping[str, int]) -> str | None:
    """The smallest part of the family that has what was found to be needed; else, by estimate, of all families."""
    others = sorted((device.part for device in DEVICES.values()), key=lambda other: other.lut)
    found = [other.name for other in others if other.family is part.family and _holds(other, used)]
    if graph is not None:
        found += [other.name for other in others if other.family is not part.family and _folds(graph, other)]
    return next(iter(found), None)


def _folds(graph: onnx.ModelProto, part: Part) -> bool:
    try:
        estimate_graph(graph, part, fps=LEAST)
    except ExportError:
        return False
    return True


def _off(graph: onnx.ModelProto, part: Part, used: Mapping[str, int]) -> dict[str, float]:
    total = estimate_graph(graph, part).as_dict()["total"]
    return {name: max(1.0, used.get(name, 0) / max(total[name], 1)) for name in RESOURCES}


def _fastest(graph: onnx.ModelProto, part: Part, off: Mapping[str, float]) -> float | None:
    """Sequences a second for which `ssmq rtl` makes a folding that fits: what it would make is estimated."""
    try:
        foldings = list(foldings_for_part(DataflowGraph(graph), part))
    except ExportError:
        return None
    for folded in reversed(foldings):
        # A little less, so that what is printed is no more than the folding gives.
        rate = float(f"{0.999 * Estimate(part, CLOCK, folded).sequences_per_second:.4g}")
        total = estimate_graph(graph, part, fps=rate, clock_mhz=CLOCK).as_dict()["total"]
        if _holds(part, {name: ceil(off[name] * total[name]) for name in RESOURCES}):
            return rate
    return None


def _holds(part: Part, used: Mapping[str, int]) -> bool:
    return all(used.get(name, 0) <= getattr(part, name) for name in RESOURCES)
