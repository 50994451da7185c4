"""Sources to a mapped netlist, a netlist to a routed design and its bitstream: two kinds of stages."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from ..errors import ExportError
from ..rtl.manifest import Manifest
from ..rtl.project import FAMILIES, RTL
from . import tools
from .devices import Device
from .harness import HARNESS
from .output_registers import packed
from .stages import stage

DESIGN, NETLIST, COUNTS, REPORT, LOG, SECONDS = (
    "design.json", "netlist.v", "counts.json", "report.json", "nextpnr.log", "seconds",
)  # fmt: skip
SOURCE = re.compile(r"[A-Za-z][A-Za-z0-9_]*\.(sv|v|mem)")


@dataclass(frozen=True)
class Sources:
    """``top`` and what it is made of: sources and memories by name."""

    top: str
    files: dict[str, bytes]

    def __post_init__(self):
        for name in self.files:
            if not SOURCE.fullmatch(name):
                raise ExportError(f"{name}: no name of a source: give letters, digits and underscores, then .sv, .v or .mem")

    @property
    def texts(self) -> list[str]:
        return sorted(name for name in self.files if not name.endswith(".mem"))


def sources_of(folder: Path, manifest: Manifest, device: Device) -> Sources:
    """A folder of generated RTL; modules of the device's family take the place of those of the same name."""
    files = {path.name: path.read_bytes() for path in sorted((folder / RTL).iterdir())}
    if device.flow.multipliers and device.part.dsp:
        for path in sorted((folder / FAMILIES / device.flow.multipliers).glob("*.sv")):
            files[path.name] = path.read_bytes()
    return Sources(manifest.top, files)


def synthesise(sources: Sources, device: Device, folder: Path, harness: str = "") -> None:
    """Stage: ``folder`` gets the netlist of the design, and what nextpnr is given, which is ``harness`` around it, if given.

    Without a harness the top level of the sources has the pads.
    """
    flow = device.flow
    command = flow.synthesis.format(family=device.family)
    options = flow.mapped if harness or not flow.nextpnr else ""
    first = "\n".join(
        [
            f"read_verilog -sv -defer {' '.join(sources.texts)}",
            f"{command} {options} -top {sources.top}",
            f"write_json {DESIGN}",
        ]
    )
    second = [f"read_json {DESIGN}", f"write_verilog -noattr -noexpr {NETLIST}"]
    if harness:
        second += ["read_verilog harness.v", f"{command} -top {HARNESS}", "write_json whole.json"]
    given = {**sources.files, "first.ys": first.encode(), "second.ys": "\n".join(second).encode()}
    if harness:
        given["harness.v"] = harness.encode()

    def make(work: Path) -> None:
        tools.run("yosys", ["-q", "first.ys"], work)
        netlist = json.loads((work / DESIGN).read_text())
        module = netlist["modules"][sources.top]
        gone = packed(module, flow.rams, flow.registers)
        counts = {"design": _counted(module), "packed": gone}
        (work / DESIGN).write_text(json.dumps({"modules": {sources.top: module}}))
        tools.run("yosys", ["-q", "second.ys"], work)
        if harness:
            (work / "whole.json").replace(work / DESIGN)
            counts["whole"] = _counted(json.loads((work / DESIGN).read_text())["modules"][HARNESS])
        (work / COUNTS).write_text(json.dumps(counts, indent=1))
        for name in given:
            (work / name).unlink()

    about = repr((tools.version("yosys"), flow.rams, flow.registers))
    stage(folder, given, about, make)


def _counted(module: dict) -> dict[str, int]:
    return dict(Counter(cell["type"] for cell in module["cells"].values() if cell["type"] != "$scopeinfo"))


def route(netlist: Path, device: Device, speed: int | None, mhz: float, seed: int, pins: str, folder: Path) -> None:
    """Stage: place and route the ``netlist`` of a ``synthesise``, aiming at ``mhz``, and pack the bitstream.

    ``pins``: the text that places pins, as its family has it; the rest is chosen, where nextpnr can.
    """
    flow = device.flow
    words = ["--json", DESIGN, "--report", REPORT, "--log", LOG, "--freq", f"{mhz:g}", "--seed", str(seed)]
    words += ["--timing-allow-fail", "-q", *flow.place(device.place), *(["--speed", str(speed)] if speed else [])]
    given = {DESIGN: (netlist / DESIGN).read_bytes(), "pins": pins.encode()}

    def make(work: Path) -> None:
        began = time.monotonic()
        try:
            tools.run(flow.nextpnr, words, work)
        except tools.ToolError as error:
            log = work / LOG
            raise tools.ToolError(str(error), log.read_text() if log.is_file() else error.log) from error
        tools.run(flow.packer, flow.pack(device.place), work)
        for name in (*given, flow.placed):
            (work / name).unlink()
        (work / SECONDS).write_text(f"{time.monotonic() - began:.1f}")

    about = repr((tools.version(flow.nextpnr), tools.version(flow.packer), words, flow.pack(device.place)))
    stage(folder, given, about, make)
