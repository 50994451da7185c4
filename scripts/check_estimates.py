"""results/estimates.json, estimates-modules.json: estimates of designs against their synthesis, and of the modules in them.

    python scripts/check_estimates.py

The designs are those of ``measure_designs.py``, none of which the estimates are fitted to. No synthesis is done here.
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

from ssmq_brevitas.files import write_whole
from ssmq_export.estimates.calibration import total
from ssmq_export.estimates.parts import find_part
from ssmq_export.rtl.netlist import Cell, Stream
from ssmq_export.rtl.timing import Through

RESULTS = Path(__file__).parents[1] / "results"
RESOURCES = {"lut": "LUT", "ff": "FF", "dsp": "multipliers", "bram": "RAM"}
DESIGNS = (
    "Estimates against the synthesis of designs that they are not fitted to: synthesised, estimated, by how much it is off"
)
MODULES = "Estimates of the modules in these designs, on ECP5"


def cell_of(row: dict) -> Cell:
    """An instance as the estimates see it."""
    output = Stream("out", 1, 1, 1, False, paced=row["paced"])
    return Cell("cell", row["module"], Through(0), {}, {"out": output}, row["parameters"])


def _columns(found: dict, told: dict) -> list[str]:
    cells = []
    for name in RESOURCES:
        off = f"{100 * (told[name] - found[name]) / found[name]:+.1f} %" if found[name] else "–"
        cells += [f"{found[name]:,}", f"{told[name]:,}", off]
    return cells


def _write(name: str, title: str, first: list[str], rows: list[list[str]]) -> None:
    """``first``: headings of the columns that say what a line is of."""
    headings = [*first, *(heading for label in RESOURCES.values() for heading in (label, "est.", "off"))]
    result = {"kind": "table", "title": title, "headings": headings, "rows": rows, "labels": len(first)}
    write_whole(RESULTS / f"{name}.json", (json.dumps(result, indent=2, ensure_ascii=False) + "\n").encode())


def main() -> None:
    rows, modules = [], defaultdict(lambda: ([], dict.fromkeys(RESOURCES, 0), dict.fromkeys(RESOURCES, 0)))
    for design in json.loads((RESULTS / "modules" / "designs.json").read_text()):
        if design["fits"]:
            continue
        part = find_part(design["part"])
        cells = [cell_of(row) for row in design["cells"]]
        cost = total(cells, part.family)
        told = {name: getattr(cost, name) for name in RESOURCES}
        folding = design["rtl"].replace("--shape serial", "").strip() or "a lane a node"
        rows.append([design["model"], f"{design['shape']}, {folding}", design["part"], *_columns(design, told)])
        for row, cell in zip(design["cells"], cells, strict=True):
            if part.family.measured == "ecp5":
                every, found, estimated = modules[row["module"]]
                every.append(cell)
                own = total([cell], part.family)
                for name in RESOURCES:
                    found[name] += row[name]
                    estimated[name] += getattr(own, name)
    _write("estimates", DESIGNS, ["model", "folding", "part"], rows)
    every = [[name, str(len(cells)), *_columns(found, told)] for name, (cells, found, told) in modules.items()]
    _write("estimates-modules", MODULES, ["module", "instances"], sorted(every, key=lambda row: -int(row[2].replace(",", ""))))


if __name__ == "__main__":
    main()
