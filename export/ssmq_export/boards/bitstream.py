"""A board's design to its bitstream, with open tools from pip and the board's own pins."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from onnx import ModelProto

from ..errors import ExportError
from ..rtl.comparison import graph_of
from ..rtl.manifest import load_manifest
from ..synthesis import tools
from ..synthesis.devices import Device, find_device
from ..synthesis.flow import COUNTS, REPORT, route, sources_of, synthesise
from ..synthesis.report import megahertz, overfull, slowest_path, used_of
from ..synthesis.shortage import too_small
from .catalogue import Board, find_board
from .design import STAGES, load_design
from .top import BITSTREAMS, TOP, constraints


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
    netlist, placed = folder / STAGES / "netlist", folder / STAGES / f"seed-{seed}"
    tell("yosys")
    manifest = load_manifest(folder)
    synthesise(replace(sources_of(folder, manifest, device), top=TOP), device, netlist)
    tell(f"{device.flow.nextpnr}, seed {seed}")
    # Where lanes can change, a part that is too small can be told which fit.
    graph = graph_of(folder) if manifest.shape == "dataflow" else None
    _route(netlist, device, speed, board, seed, placed, graph)
    report = json.loads((placed / REPORT).read_text())
    refuse_slow(board, report)
    path = folder / BITSTREAMS[board.family]
    shutil.copyfile(placed / device.flow.bitstream, path)
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


def _route(
    netlist: Path, device: Device, speed: int | None, board: Board, seed: int, placed: Path, graph: ModelProto | None
) -> None:
    try:
        route(netlist, device, speed, board.clock_hz / 1e6, seed, constraints(board)[1], placed)
    except tools.ToolError as error:
        used, lacks = overfull(error.log, device.flow, device.part)
        if lacks:
            raise too_small(device.part, lacks, used, graph) from error
        raise
