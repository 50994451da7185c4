"""What a search leaves: one JSON, a table and scheme files."""

from __future__ import annotations

import json
from pathlib import Path

from ssmq_brevitas.checkpoint import write_whole
from ssmq_brevitas.config import Bits, Config, Scheme, to_toml

from .allocation import pareto
from .plots import front as plot_front
from .sensitivity import POLAR, POLAR_GRIDS, Bench, tensors
from .table import Table, percent


def write_front(bench: Bench, config: Config, candidates: list[dict], out: Path) -> dict:
    """Write front.json, front.png and one scheme-BYTES.toml for each model of the front; returns the JSON."""
    front = pareto(candidates)
    polar = any(entry["scheme"]["parameterisation"] in POLAR_GRIDS for entry in front)
    found = {
        "kind": "search",
        "model": config.name,
        "data": bench.data.describe(),
        "images": len(bench.y),
        "tensors": [name for name in Bits.model_fields if name in tensors(config) or (polar and name in POLAR)],
        "float_accuracy": bench.float_accuracy,
        "candidates": [{key: entry[key] for key in ("bytes", "accuracy")} for entry in candidates],
        "front": front,
    }
    out.mkdir(parents=True, exist_ok=True)
    for entry in front:
        scheme = Scheme.model_validate(entry["scheme"])
        name = f"{config.name}-{entry['bytes']:.0f}B"
        text = to_toml(config.model_copy(update={"name": name, "scheme": scheme}))
        write_whole(out / f"scheme-{entry['bytes']:.0f}.toml", text.encode())
    plot_front(found, out / "front.png")
    write_whole(out / "front.json", json.dumps(found, indent=2).encode())
    return found


def front_table(found: dict) -> Table:
    """Widths of every model of the front."""
    lines = []
    for entry in found["front"]:
        scheme = entry["scheme"]
        absent = POLAR if scheme["parameterisation"] not in POLAR_GRIDS else ()
        widths = " ".join(f"{name}={scheme['bits'][name]}" for name in found["tensors"] if name not in absent)
        grid = f"{scheme['parameterisation']}, one scale a {scheme['granularity']}"
        lines.append([grid, widths, f"{entry['bytes']:,.0f}", percent(entry["accuracy"], 1)])
    about = f"{found['images']} validation images, float {percent(found['float_accuracy'], 1)}"
    title = f"{found['model']}: Pareto front of post-training schemes, {about}"
    return Table(title, ["Ā", "widths", "bytes", "accuracy %"], lines, 2)
