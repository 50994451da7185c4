"""Generated RTL on a part: what it takes, how fast it is, and whether the netlist still computes the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx

from ..dataflow.graph import DataflowGraph
from ..estimates import RESOURCES
from ..rtl.comparison import graph_of
from ..rtl.evaluate import evaluated
from ..rtl.manifest import load_manifest
from . import tools
from .devices import Device
from .estimated import estimated
from .flow import COUNTS, SECONDS, sources_of, synthesise
from .harness import harness
from .netlist_model import NetlistModel
from .placement import placed
from .report import lacking, megahertz, slowest_path, used_of
from .result import Result, Routed, Simulated, Stretch, Use
from .shortage import too_small

FOLDER, NETLIST_STAGE = "synthesis", "netlist"


def home_of(folder: Path, device: Device, speed: int | None) -> Path:
    """Where the stages of a part lie."""
    return folder / FOLDER / device.named(speed)


def measure(
    folder: Path, home: Path, device: Device, speed: int | None = None, *, clock: float | None = None, seeds: int = 1,
    codes: np.ndarray | None = None, tell: Callable[[str], None] = lambda what: None,
) -> Result:  # fmt: skip
    """Synthesise, place and route ``folder``, and simulate its netlist on ``codes``; stages that ``home`` has are kept.

    Raises ExportError for missing programs, a part that is too small, and a program that fails or is killed.
    """
    flow = device.flow
    tools.require(flow.programs)
    manifest, graph = load_manifest(folder), graph_of(folder)
    design = manifest.design()
    tell("yosys")
    around = harness(manifest.top, design.given, design.result) if flow.nextpnr else ""
    synthesise(sources_of(folder, manifest, device), device, home / NETLIST_STAGE, around)
    counts = json.loads((home / NETLIST_STAGE / COUNTS).read_text())
    reports, routed = {}, []
    for seed in range(1, seeds + 1) if flow.nextpnr else ():
        tell(f"{flow.nextpnr}, seed {seed} of {seeds}")
        place, mhz = home / f"seed-{seed}", clock or flow.goal
        reports[seed] = placed(
            home / NETLIST_STAGE, device, speed, mhz, seed, flow.constraints(device.pins), place, graph, manifest
        )
        seconds = float((place / SECONDS).read_text())
        routed.append(Routed(seed=seed, mhz=round(megahertz(reports[seed]), 2), seconds=seconds))
    best = max(routed, key=lambda one: one.mhz, default=None)
    report = reports[best.seed] if best else {"utilization": {}}
    used = used_of(flow, counts.get("whole", counts["design"]), report["utilization"])
    if lacks := [] if best else lacking(used, device.part):
        raise too_small(device.part, lacks, used, graph, manifest)
    simulated = None
    if codes is not None:
        tell(f"the netlist, {len(codes)} sequences")
        simulated = _simulated(folder, home, device, graph, codes)
    return _result(manifest, graph, device, speed, clock, counts, used, routed, best, report, home, simulated)


def _simulated(folder: Path, home: Path, device: Device, graph: onnx.ModelProto, codes: np.ndarray) -> Simulated:
    model = NetlistModel(folder, home / NETLIST_STAGE, device)
    found = model.forward(codes)
    differing = int(np.count_nonzero(found != evaluated(DataflowGraph(graph), codes)))
    return Simulated(
        sequences=len(codes), codes=found.size, differing=differing, cycles=model.cycles, expected_cycles=model.expected_cycles
    )


def _result(manifest, graph, device, speed, clock, counts, used, routed, best, report, home, simulated) -> Result:
    taken = _around(device, counts)
    expected = estimated(manifest, graph, device.part)
    uses = [
        Use(
            resource=name, used=count - taken.get(name, 0), estimated=expected.get(name),
            available=getattr(device.part, name) if name in RESOURCES else None,
        )
        for name, count in used.items()
    ]  # fmt: skip
    bitstream = home / f"seed-{best.seed}" / device.flow.bitstream if best else None
    rate = best and manifest.further and best.mhz * 1e6 / manifest.further
    modules = {cell.name: cell.module for cell in manifest.cells}
    path = [
        Stretch(instance=part.instance, module=modules.get(part.instance, ""), logic=round(part.logic, 3),
                routing=round(part.routing, 3))
        for part in (slowest_path(report) if best else [])
    ]  # fmt: skip
    return Result(
        top=manifest.top, shape=manifest.shape, part=device.part.name if not speed else f"{device.part.name}, speed {speed}",
        family=device.part.family.name, tools=[tools.version(name) for name in device.flow.programs], clock=clock, uses=uses,
        harness=taken, packed=counts["packed"], routed=routed, best=best.seed if best else None,
        mhz=best.mhz if best else None, path=path,
        bitstream=bitstream.relative_to(home).as_posix() if bitstream else None,
        bytes=bitstream.stat().st_size if bitstream else None, interval=manifest.interval, cycles=manifest.cycles,
        further=manifest.further, sequences_per_second=rate and round(rate, 1),
        microseconds=best and manifest.cycles and round(manifest.cycles / best.mhz, 2), simulated=simulated,
    )  # fmt: skip


def _around(device: Device, counts: dict) -> dict[str, int]:
    """LUTs and registers of the harness: cells of the whole that the design has not."""
    more = {kind: count - counts["design"].get(kind, 0) for kind, count in counts.get("whole", {}).items()}
    luts = sum(count for kind, count in more.items() if "LUT" in kind)
    registers = sum(count for kind, count in more.items() if "FF" in kind)
    if device.flow.nextpnr == "nextpnr-ice40":  # a cell holds both
        luts = registers
    return {"lut": luts, "ff": registers} if "whole" in counts else {}
