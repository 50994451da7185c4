"""results/modules/designs.json: whole designs, synthesised by Yosys, instance by instance.

    python scripts/measure_designs.py FOLDER [ROW ...]

FOLDER keeps the graphs, the RTL and the netlists: what is there, of the same sources, is not done again (a minute or two each
otherwise). Rows are numbered as in DESIGNS, all of them unless some are named.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path

from measure_synthesis import said
from netlist_counts import RESOURCES, taken
from ssmq_brevitas.files import write_whole
from ssmq_export.estimates.calibration import paced
from ssmq_export.rtl.manifest import load_manifest
from ssmq_export.synthesis.devices import find_device
from ssmq_export.synthesis.flow import DESIGN, sources_of, synthesise

RESULT = Path(__file__).parents[1] / "results" / "modules" / "designs.json"


@dataclass(frozen=True)
class Design:
    """``rtl``: words for ``ssmq rtl``; ``fits``: whether the estimates are fitted to it, by how much modules share when they
    are together, or checked on it."""

    model: str
    part: str
    rtl: str = ""
    fits: bool = False


SMALLEST = "edge-4x10n4-w4a6"
FAST = "--shape serial --fps 1400 --clock 180"
DESIGNS = (
    Design("paper-h16-w8a8", "lfe5u-45f", fits=True),
    Design("paper-h16-w4a6", "lfe5u-45f", "--fps 1000", fits=True),
    Design("edge-4x32n8-all4", "lfe5u-45f", "--shape serial --fps 100 --clock 150", fits=True),
    Design("paper-h16-w8a8", "ice40up5k", fits=True),
    Design("paper-h16-w4a6", "ice40up5k", fits=True),
    Design("edge-4x32n8-all4", "ice40up5k", "--shape serial --fps 20 --clock 48", fits=True),
    Design("paper-h16-w8a8", "xc7a35t", fits=True),
    Design("paper-h16-w4a6", "xc7a35t", "--fps 1000", fits=True),
    Design("edge-4x32n8-all4", "xc7a35t", "--shape serial --fps 100 --clock 150", fits=True),
    Design(SMALLEST, "lfe5u-25f", FAST),
    Design("edge-4x16n6-w4a6", "lfe5u-25f", "--shape serial --fps 400 --clock 170"),
    Design("edge-4x16-w6a8", "lfe5u-25f", "--shape serial --fps 500 --clock 170"),
    Design(SMALLEST, "lfe5u-45f"),
    Design(SMALLEST, "lfe5u-45f", "--fps 3000"),
    Design(SMALLEST, "lfe5u-25f", "--shape serial --fps 300 --clock 100"),
    Design("paper-h64-w4a6", "lfe5u-25f"),
    Design(SMALLEST, "ice40up5k", "--shape serial --fps 380 --clock 48"),
    Design("edge-4x16n6-w4a6", "ice40up5k", "--shape serial --fps 100 --clock 48"),
    Design(SMALLEST, "xc7a35t", FAST),
    Design("edge-4x16-w6a8", "xc7a35t", "--shape serial --fps 500 --clock 170"),
    Design(SMALLEST, "xc7a35t"),
)


def measured(design: Design, folder: Path) -> dict:
    """What the design takes in all, and every instance of it."""
    graphs = folder / design.model
    if not (graphs / "sequence-dataflow.onnx").is_file():
        said("export", f"zoo:{design.model}", "--out", str(graphs))
    words = [*design.rtl.split(), "--target", design.part] if design.rtl else []
    home = graphs / "-".join(("rtl", *(word.lstrip("-") for word in words)))
    said("rtl", str(graphs / "sequence-dataflow.onnx"), "--out", str(home), *words)
    device, _ = find_device(design.part)
    manifest = load_manifest(home)
    netlist = home / "netlists" / design.part
    synthesise(sources_of(home, manifest, device), device, netlist)
    whole = json.loads((netlist / DESIGN).read_text())["modules"][manifest.top]
    family = device.part.family.measured
    names = {cell.name for cell in manifest.cells}
    parts: dict[str, dict] = defaultdict(dict)
    for name, cell in whole["cells"].items():
        first = name.split(".")[0]
        parts[first if first in names else ""][name] = cell
    used = {name: taken({"cells": cells}, family) for name, cells in parts.items()}
    cells = [
        {"module": cell.module, "parameters": cell.parameters, "paced": paced(cell)}
        | used.get(cell.name, dict.fromkeys(RESOURCES, 0))
        for cell in manifest.design().cells
    ]
    return {**asdict(design), "shape": manifest.shape, **taken(whole, family), "cells": cells}


def main(folder: Path, chosen: list[str]) -> None:
    known = (
        {tuple(row[key] for key in asdict(DESIGNS[0])): row for row in json.loads(RESULT.read_text())}
        if RESULT.exists()
        else {}
    )
    for number in map(int, chosen or range(len(DESIGNS))):
        design = DESIGNS[number]
        print(number, design, flush=True)
        known[tuple(asdict(design).values())] = measured(design, folder)
        rows = [known[tuple(asdict(one).values())] for one in DESIGNS if tuple(asdict(one).values()) in known]
        write_whole(RESULT, ("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n").encode())


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
