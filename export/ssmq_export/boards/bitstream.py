"""A board's design to its bitstream, with open tools from pip and the board's own pins."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import ExportError
from ..rtl.comparison import graph_of
from ..rtl.manifest import load_manifest
from ..synthesis import tools
from ..synthesis.devices import find_device
from ..synthesis.flow import COUNTS, sources_of, synthesise
from ..synthesis.placement import placed
from ..synthesis.report import megahertz, slowest_path, used_of
from .catalogue import Board, find_board
from .design import STAGES, load_design
from .top import TOP, bitstream_name, constraints


@dataclass(frozen=True)
class Bitstream:
    """``used``: resources of the whole board; ``mhz``: what the clock may be, which is not what it is."""

    path: Path
    used: dict[str, int]
    mhz: float


def make_bitstream(folder: Path, seed: int = 1, tell: Callable[[str], None] = lambda what: None) -> Bitstream:
    """Synthesise, place, route and pack the design in ``folder``; what is there already is kept.

    Raises ExportError for missing programs, a part that is too small, and a clock that is not reached.
    """
    design = load_design(folder)
    board = find_board(design.board)
    device, speed = find_device(board.part)
    tools.require(device.flow.programs)
    netlist, place = folder / STAGES / "netlist", folder / STAGES / f"seed-{seed}"
    tell("yosys")
    manifest = load_manifest(folder)
    synthesise(replace(sources_of(folder, manifest, device), top=TOP), device, netlist)
    tell(f"{device.flow.nextpnr}, seed {seed}")
    report = placed(
        netlist, device, speed, board.clock_hz / 1e6, seed, constraints(board)[1], place, graph_of(folder), manifest
    )
    refuse_slow(board, report)
    path = folder / bitstream_name(board)
    shutil.copyfile(place / device.flow.bitstream, path)
    counts = json.loads((netlist / COUNTS).read_text())["design"]
    return Bitstream(path, used_of(device.flow, counts, report["utilization"]), megahertz(report))


def refuse_slow(board: Board, report: dict) -> None:
    """Raises ExportError for a design that is slower than the board's clock."""
    found = megahertz(report)
    if found * 1e6 < board.clock_hz:
        longest = max(slowest_path(report), key=lambda part: part.logic + part.routing)
        raise ExportError(
            f"{board.name}: its clock is {board.clock_hz / 1e6:g} MHz, the design reaches {found:.1f}: the slowest path is in "
            f"{longest.instance or TOP}: try another --seed"
        )
