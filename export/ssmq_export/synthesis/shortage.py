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
from ..estimates.serial import estimate_serial
from ..rtl import has_layers
from ..rtl.manifest import Manifest
from .devices import DEVICES
from .estimated import estimated
from .report import Lack

NAMES = {"lut": "LUT", "ff": "FF", "carry": "carries", "dsp": "multipliers", "bram": "block RAM"}
# MHz for which a folding is named.
CLOCK = 100.0


class ShortageError(ExportError):
    """A part is too small."""


def too_small(
    part: Part, lacks: list[Lack], used: Mapping[str, int], graph: onnx.ModelProto, manifest: Manifest
) -> ShortageError:
    """``used``: all that was found before it ended; ``graph`` and ``manifest``: what the design was made from and is."""
    told = " and ".join(
        f"{lack.used:,} {NAMES[lack.resource]} are needed, {lack.used - lack.available:,} more than its {lack.available:,}"
        for lack in lacks
    )
    return ShortageError(f"{part.name} is too small: {told}: {_advice(part, used, graph, manifest)}")


def _advice(part: Part, used: Mapping[str, int], graph: onnx.ModelProto, manifest: Manifest) -> str:
    """The fastest folding that fits, by an estimate corrected by how far that of the present one is off; else a part."""
    present, serial = estimated(manifest, graph, part), manifest.shape == "serial"
    off = {name: max(1.0, used.get(name, 0) / max(present.get(name, 0), 1)) for name in RESOURCES}
    rate, shape = None if serial else _fastest(graph, part, off), ""
    if rate is None and has_layers(graph):
        rate, shape = _fastest_serial(graph, part, off), "--shape serial "
    if rate is not None:
        return f"by estimate `ssmq rtl {shape}--target {part.name} --fps {rate:g} --clock {CLOCK:g}` makes one that fits"
    larger = _larger(None if serial else graph, part, used)
    return f"by estimate no folding fits: {f'take {larger}, or ' if larger else ''}narrow the widths"


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


def _fastest(graph: onnx.ModelProto, part: Part, off: Mapping[str, float]) -> float | None:
    """Sequences a second for which `ssmq rtl` makes a folding that fits: what it would make is estimated."""
    try:
        foldings = list(foldings_for_part(DataflowGraph(graph), part))
    except ExportError:
        return None
    for folded in reversed(foldings):
        rate = _a_little_less(Estimate(part, CLOCK, folded).sequences_per_second)
        total = estimate_graph(graph, part, fps=rate, clock_mhz=CLOCK).as_dict()["total"]
        if _holds(part, {name: ceil(off[name] * total[name]) for name in RESOURCES}):
            return rate
    return None


def _fastest_serial(graph: onnx.ModelProto, part: Part, off: Mapping[str, float]) -> float | None:
    """The same of the serial shape, from the fewest lanes on by rates of which each is half as much again."""
    fits, rate = None, LEAST
    while True:
        try:
            cycles = estimate_serial(graph, part, fps=rate, clock_mhz=CLOCK)["cycles_between_sequences"]
            reached = _a_little_less(CLOCK * 1e6 / cycles)
            total = estimate_serial(graph, part, fps=reached, clock_mhz=CLOCK)["total"]
        except ExportError:  # too fast, too large, or of a family without estimates of this shape
            return fits
        if not _holds(part, {name: ceil(off[name] * total[name]) for name in RESOURCES}):
            return fits
        fits, rate = reached, 1.5 * reached


def _a_little_less(rate: float) -> float:
    """So that what is printed is no more than a folding gives."""
    return float(f"{0.999 * rate:.4g}")


def _holds(part: Part, used: Mapping[str, int]) -> bool:
    return all(used.get(name, 0) <= getattr(part, name) for name in RESOURCES)
