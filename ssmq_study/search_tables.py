"""What a search leaves: one JSON, a table and scheme files."""

from __future__ import annotations

import json
from pathlib import Path

from ssmq_brevitas.config import Config, Scheme, to_toml
from ssmq_brevitas.files import write_whole

from .allocation import pareto
from .cost import BYTES, COLUMNS, CostModel
from .knobs import POLAR, POLAR_GRIDS, knobs, width_of
from .plots import front as plot_front
from .sensitivity import Bench
from .table import Table, percent


def write_front(
    bench: Bench, config: Config, candidates: list[dict], out: Path, cost: CostModel = BYTES, per_tensor: bool = False
) -> dict:
    """Write front.json, front.png and one scheme-COST.toml for each model of the front; returns the JSON.

    ``per_tensor``: what was searched are the widths of single tensors, not of roles.
    """
    unit = cost.unit
    front = pareto(candidates, unit)
    found_grids = dict.fromkeys(entry["scheme"]["parameterisation"] for entry in front)
    found = {
        "kind": "search",
        "model": config.name,
        "data": bench.data.describe(),
        "images": len(bench.y),
        "tensors": knobs(config, found_grids, per_tensor),
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
        scheme = Scheme.model_validate(entry["scheme"])
        absent = POLAR if scheme.parameterisation not in POLAR_GRIDS else ()
        present = {name: role for name, role in found["tensors"].items() if role not in absent}
        widths = " ".join(f"{name}={width_of(scheme, name, role)}" for name, role in present.items())
        grid = f"{scheme.parameterisation}, one scale a {scheme.granularity}"
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
    return f", {found['shape']} on {found['target']} at {found['clock_mhz']:g} MHz, {rate}"
