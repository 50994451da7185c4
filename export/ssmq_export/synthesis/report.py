"""What nextpnr's report and Yosys' counts say: resources, clock, the longest path and whose it is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

from ..estimates.parts import RESOURCES, Part
from .families import Flow
from .harness import INSTANCE

RESOURCES_SHOWN = ("lut", "ff", "carry", "dsp", "bram")
USED = re.compile(r"^Info:\s+(\w+):\s+(\d+)/\s*(\d+)\s+\d+%", re.MULTILINE)


@dataclass(frozen=True)
class Lack:
    """A resource of which more is used than there is."""

    resource: str
    used: int
    available: int


@dataclass(frozen=True)
class Stretch:
    """A stretch of a path in one instance of the design; nanoseconds in cells and in wires."""

    instance: str
    logic: float
    routing: float


def used_of(flow: Flow, counts: Mapping[str, int], report: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    """Resource -> number, from the cells that Yosys counted and, where there is one, from nextpnr's ``utilization``."""
    reported = {kind: entry["used"] for kind, entry in report.items()}
    found = {name: _total(flow.counted[name], counts) for name in flow.counted}
    found |= {name: _total(flow.reported[name], reported) for name in flow.reported}
    return {name: found[name] for name in RESOURCES_SHOWN}


def _total(weights: Mapping[str, float], counts: Mapping[str, int]) -> int:
    return ceil(sum(weight * counts.get(kind, 0) for kind, weight in weights.items()))


def megahertz(report: dict) -> float:
    """The rate of the slowest clock."""
    return min(clock["achieved"] for clock in report["fmax"].values())


def slowest_path(report: dict) -> list[Stretch]:
    """The path that limits a clock, from register to register, by instance."""
    paths = [path for path in report["critical_paths"] if path["from"] == path["to"]]
    path = max(paths, key=lambda path: sum(part["delay"] for part in path["path"]))
    found: list[Stretch] = []
    for part in path["path"]:
        name = _instance(part["from"]["cell"]) or (found[-1].instance if found else "")
        logic, routing = (0.0, part["delay"]) if part["type"] == "routing" else (part["delay"], 0.0)
        if found and found[-1].instance == name:
            logic, routing = logic + found[-1].logic, routing + found.pop().routing
        found.append(Stretch(name, logic, routing))
    return found


def _instance(cell: str) -> str:
    """The instance of the top level that a cell belongs to; "" for one that nextpnr has made."""
    parts = cell.removeprefix(f"{INSTANCE}.").split(".")
    return "" if parts[0].startswith("$") or len(parts) < 2 else parts[0]


def overfull(log: str, flow: Flow, part: Part) -> tuple[dict[str, int], list[Lack]]:
    """What nextpnr's log says of resources, and of which there is too little."""
    rows = {kind: int(used) for kind, used, _ in USED.findall(log)}
    used = {name: _total(kinds, rows) for name, kinds in flow.reported.items()}
    return used, lacking(used, part)


def lacking(used: Mapping[str, int], part: Part) -> list[Lack]:
    """Of what the part has too little, by its data sheet."""
    rows = [Lack(name, used.get(name, 0), getattr(part, name)) for name in RESOURCES]
    return [row for row in rows if row.used > row.available]
