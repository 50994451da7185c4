"""A part that is too small: of what, by how much, and what would fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import floor

import onnx

from ..errors import ExportError
from ..estimates import RESOURCES, estimate_graph
from ..estimates.parts import Part
from .report import Lack

NAMES = {"lut": "LUT", "ff": "FF", "carry": "carries", "dsp": "multipliers", "bram": "block RAM"}


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
    """The fastest folding that fits by estimate, corrected by how far the estimate of the present one is off."""
    if graph is None:
        return "take a larger part, or narrow the widths"
    total = estimate_graph(graph, part).as_dict()["total"]
    off = {name: max(1.0, used.get(name, 0) / max(total[name], 1)) for name in RESOURCES}
    smaller = replace(part, **{name: floor(getattr(part, name) / times) for name, times in off.items()})
    try:
        found = estimate_graph(graph, smaller, fastest=True)
    except ExportError:
        return "by estimate no folding fits: take a larger part, or narrow the widths"
    rate = floor(found.sequences_per_second)
    return f"by estimate `ssmq rtl --target {part.name} --fps {rate} --clock {found.clock_mhz:g}` makes one that fits"
