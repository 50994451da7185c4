"""results/modules/FAMILY.json: what the modules of the library take on a part, each synthesised alone by Yosys.

    python scripts/measure_modules.py FOLDER [FAMILY ...]

The instances are those of ``drawn_cells.py``. FOLDER keeps the netlists; a batch of instances that is there, of the same
sources and the same Yosys, is not done again (half a minute each otherwise). ``fit_modules.py`` makes the estimates of it.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from drawn_cells import drawn
from netlist_counts import taken
from ssmq_brevitas.files import write_whole
from ssmq_export.rtl.names import LIBRARY
from ssmq_export.rtl.netlist import Cell, Stream
from ssmq_export.rtl.verilog import top_level
from ssmq_export.synthesis import tools
from ssmq_export.synthesis.devices import DEVICES, Device
from ssmq_export.synthesis.output_registers import packed
from ssmq_export.synthesis.stages import stage

RESULTS = Path(__file__).parents[1] / "results" / "modules"
PARTS = {"ecp5": "lfe5u-25f", "ice40": "ice40up5k", "xilinx": "xc7a35t"}
# Instances that Yosys is given at once; of those that multiply fewer.
BATCH, HEAVY = 32, {"ssmq_scan": 11, "ssmq_matvec": 20}
NETLIST = "netlist.json"


@dataclass(frozen=True)
class Sample:
    """Instance ``number`` of a batch as a module of its own, which is flattened, in one with its ports, which stays."""

    number: int
    cell: Cell

    @property
    def name(self) -> str:
        return f"sample_{self.number}"

    @cached_property
    def own(self) -> Cell:
        """The instance, its streams unpaced, its memories named apart from those of others."""
        plain = [{p: replace(s, paced=False) for p, s in streams.items()} for streams in (self.cell.inputs, self.cell.outputs)]
        roms = {key: replace(rom, name=f"{self.name}_{key.lower()}") for key, rom in self.cell.roms.items()}
        return replace(self.cell, name="cell", inputs=plain[0], outputs=plain[1], roms=roms)

    def pins(self) -> Iterator[tuple[str, str, int]]:
        """Direction, name and width of every port; who always takes is not asked, and nobody reads when its steps end."""
        cell = self.cell
        for streams, forward, backward in ((cell.inputs, "input", "output"), (cell.outputs, "output", "input")):
            for name, stream in self._ports(streams):
                yield forward, f"{name}_valid", 1
                yield forward, f"{name}_data", stream.width
                if streams is cell.inputs or not stream.paced or cell.module == "ssmq_loop":
                    yield forward, f"{name}_last", 1
                if not stream.paced:
                    yield backward, f"{name}_ready", 1

    @staticmethod
    def _ports(streams: dict[str, Stream]) -> list[tuple[str, Stream]]:
        return list(streams.items())

    def text(self) -> str:
        inner = top_level([self.own], self.own.inputs, self.own.outputs, f"{self.name}_inner", self.name)
        pins = list(self.pins())
        ports = [f"{way} wire [{width - 1}:0] {name}" for way, name, width in pins]
        ties = [f".{name}_ready(1'b1)" for name, stream in self._ports(self.cell.outputs) if stream.paced]
        joined = ", ".join([".clk(clk), .rst(rst)", *(f".{name}({name})" for _, name, _ in pins), *ties])
        head = f"(* keep_hierarchy *)\nmodule {self.name} (input wire clk, input wire rst, {', '.join(ports)});"
        return f"{inner}\n{head}\n  {self.name}_inner inner ({joined});\nendmodule\n"


def top(samples: list[Sample]) -> str:
    """All of them side by side, every pin outside."""
    ports, instances = [], []
    for sample in samples:
        pins = list(sample.pins())
        ports += [f"{way} wire [{width - 1}:0] {sample.name}_{name}" for way, name, width in pins]
        joined = ", ".join(f".{name}({sample.name}_{name})" for _, name, _ in pins)
        instances.append(f"  {sample.name} of_{sample.number} (.clk(clk), .rst(rst), {joined});")
    return "\n".join([f"module bench (input wire clk, input wire rst, {', '.join(ports)});", *instances, "endmodule", ""])


def sources_of(modules: set[str], family: str) -> dict[str, bytes]:
    """The files of ``modules`` and of what is in them."""
    own = {path.stem: path for folder in (LIBRARY, LIBRARY / family) for path in sorted(folder.glob("*.sv"))}
    found: set[str] = set()
    while modules:
        found |= modules
        words = {word for name in modules for word in re.findall(r"\bssmq_\w+", own[name].read_text())}
        modules = (words & own.keys()) - found
    return {own[name].name: own[name].read_bytes() for name in sorted(found)}


def measured(cells: list[Cell], family: str, device: Device, folder: Path) -> list[dict[str, int]]:
    """What each of ``cells`` takes. Raises ToolError where Yosys fails."""
    samples = [Sample(number, cell) for number, cell in enumerate(cells)]
    files = sources_of({cell.module for cell in cells}, family)
    files["bench.v"] = "\n".join([*(sample.text() for sample in samples), top(samples)]).encode()
    for sample in samples:
        files |= {f"{rom.name}.mem": rom.text().encode() for rom in sample.own.roms.values()}
    flow = device.flow
    command = f"{flow.synthesis.format(family=device.family)} {flow.mapped} -top bench"
    texts = [name for name in files if not name.endswith(".mem")]
    files["all.ys"] = f"read_verilog -sv -defer {' '.join(texts)}\n{command}\nwrite_json {NETLIST}\n".encode()

    def make(work: Path) -> None:
        tools.run("yosys", ["-q", "all.ys"], work)
        for name in files:
            (work / name).unlink()

    stage(folder, files, tools.version("yosys"), make)
    modules = json.loads((folder / NETLIST).read_text())["modules"]
    found = []
    for sample in samples:
        netlist = modules[sample.name]
        packed(netlist, flow.rams, flow.registers)
        found.append(taken(netlist, family))
    return found


def batches(cells: list[Cell]) -> list[list[Cell]]:
    """Of one module each."""
    found: list[list[Cell]] = []
    for cell in cells:
        size = HEAVY.get(cell.module, BATCH)
        if not found or len(found[-1]) == size or found[-1][0].module != cell.module:
            found.append([])
        found[-1].append(cell)
    return found


def as_row(cell: Cell, used: dict[str, int]) -> dict:
    """``paced``: whether what leaves is always taken."""
    paced = any(stream.paced for stream in cell.outputs.values())
    memories = {key: [len(rom.words), rom.bits] for key, rom in cell.roms.items()}
    about = {"module": cell.module, "parameters": cell.parameters, "memories": memories, "paced": paced}
    return {**about, **used}


def main(folder: Path, families: list[str]) -> None:
    RESULTS.mkdir(parents=True, exist_ok=True)
    for family in families or PARTS:
        device, rows = DEVICES[PARTS[family]], []
        for number, cells in enumerate(batches(drawn())):
            print(family, number, cells[0].module, len(cells), flush=True)
            found = measured(cells, family, device, folder / family / f"batch-{number}")
            rows += [as_row(cell, used) for cell, used in zip(cells, found, strict=True)]
        lines = ",\n".join(json.dumps(row) for row in rows)
        write_whole(RESULTS / f"{family}.json", f"[\n{lines}\n]\n".encode())


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
