"""What a search leaves: one JSON, a table and scheme files."""

from __future__ import annotations

import json
from pathlib import Path

from ssmq_brevitas.config import Bits, Config, Scheme, to_toml
from ssmq_brevitas.files import write_whole

from .allocation import pareto
from .cost import BYTES, COLUMNS, CostModel
from .plots import front as plot_front
from .sensitivity import POLAR, POLAR_GRIDS, Bench, tensors
from .table import Table, percent


def write_front(bench: Bench, config: Config, candidates: list[dict], out: Path, cost: CostModel = BYTES) -> dict:
    """Write front.json, front.png and one scheme-COST.toml for each model of the front; returns the JSON."""
    unit = cost.unit
    front = pareto(candidates, unit)
    polar = any(entry["scheme"]["parameterisation"] in POLAR_GRIDS for entry in front)
    found = {
        "kind": "search",
        "model": config.name,
        "data": bench.data.describe(),
        "images": len(bench.y),
        "tensors": [name for name in Bits.model_fields if name in tensors(config) or (polar and name in POLAR)],
        "float_accuracy": bench.float_accuracy,
        **cost.about(),
        "candidates": [{key: entry[key] for key in (unit, "accuracy")} for entry in candidates],
        "front": front,
    }
    out.mkdir(parents=True, exist_ok=True)
    for entry in front:
        scheme = Scheme.model_validate(entry["scheme"])
        name = f"{config.name}-{entry[unit]:.0f}{'B' if unit == 'bytes' else unit}"
        text = to_toml(config.model_copy(update={"name": name, "scheme": scheme}))
        write_whole(out / f"scheme-{entry[unit]:.0f}.toml", text.encode())
    plot_front(found, out / "front.png")
    write_whole(out / "front.json", json.dumps(found, indent=2).encode())
    return found


def front_table(found: dict) -> Table:
    """Widths of every model of the front."""
    columns = COLUMNS[found["objective"]]
    lines = []
    for entry in found["front"]:
        scheme = entry["scheme"]
        absent = POLAR if scheme["parameterisation"] not in POLAR_GRIDS else ()
        widths = " ".join(f"{name}={scheme['bits'][name]}" for name in found["tensors"] if name not in absent)
        grid = f"{scheme['parameterisation']}, one scale a {scheme['granularity']}"
        costs = [f"{entry[key]:,.0f}" for key in columns]
        lines.append([grid, widths, *costs, percent(entry["accuracy"], 1)])
    about = f"{found['images']} validation images, float {percent(found['float_accuracy'], 1)}"
    title = f"{found['model']}: Pareto front of post-training schemes, {about}{_hardware(found)}"
    return Table(title, ["Ā", "widths", *columns.values(), "accuracy %"], lines, 2)


def _hardware(found: dict) -> str:
    """What LUTs were counted for, in words."""
    if found["objective"] == "bytes":
        return ""
    rate = f"folded for {found['fps']:g} sequences a second" if found["fps"] else "one operation a cycle in every node"
    return f", {found['target']} at {found['clock_mhz']:g} MHz, {rate}"
