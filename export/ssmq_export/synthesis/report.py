"""What nextpnr's report and Yosys' counts say: resources, clock, the longest path and whose it is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ..estimates.parts import Part
from .families import Flow
from .harness import INSTANCE

USED = re.compile(r"^Info:\s+(\w+):\s+(\d+)/\s*(\d+)\s+\d+%", re.MULTILINE)


@dataclass(frozen=True)
class Stretch:
    """A stretch of a path in one instance of the design; nanoseconds in cells and in wires."""

    instance: str
    logic: float
    routing: float


def used_of(flow: Flow, counts: Mapping[str, int], report: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    """Resource -> number, from the cells that Yosys counted and, where there is one, the report of nextpnr."""
    found = {}
    for resource, where in flow.uses.items():
        if isinstance(where, str):
            found[resource] = sum(entry["used"] for kind, entry in report.items() if kind == where)
        else:
            found[resource] = sum(times * counts.get(cell, 0) for cell, times in where.items())
    return found


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


def overfull(log: str, flow: Flow) -> list[tuple[str, int, int]]:
    """(resource, used, available) of what nextpnr's log says there is too little of."""
    names = {where: resource for resource, where in flow.uses.items() if isinstance(where, str)}
    rows = [(names.get(kind, kind), int(used), int(available)) for kind, used, available in USED.findall(log)]
    return [row for row in rows if row[1] > row[2]]


def lacking(used: Mapping[str, int], part: Part) -> list[tuple[str, int, int]]:
    """As ``overfull``, by the part's data sheet."""
    rows = [(name, used[name], getattr(part, name)) for name in ("lut", "ff", "dsp", "bram")]
    return [row for row in rows if row[1] > row[2]]
