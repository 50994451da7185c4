"""results/verify.json and results/finn.json: what `ssmq verify` and `ssmq finn` say of several models, by name.

    ssmq run --out runs/edge-2x16                                     # and for the mixed schemes
    ssmq train --preset configs/edge-2x16-mixed.toml --from zoo:edge-2x16 --out runs/mixed
    ssmq export runs/mixed/qat.safetensors --out runs/mixed
    python scripts/measure_export.py verify edge-2x16=runs/edge-2x16 'edge-2x16, 4/6/8 bits=runs/mixed'

    ssmq export zoo:paper-h16-w8a8 --out runs/paper-h16-w8a8
    python scripts/measure_export.py finn paper-h16-w8a8=runs/paper-h16-w8a8

A folder that holds verify.json already is not verified again: that takes some eight minutes a model.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from ssmq_brevitas.files import write_whole

RESULTS = Path(__file__).parents[1] / "results"
SSMQ = str(Path(sys.executable).parent / "ssmq")
PART, FPS = "xc7z020clg400-1", 10


def said(*arguments: str) -> dict:
    """The JSON that a command prints."""
    done = subprocess.run([SSMQ, *arguments, "--json"], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def verified(folder: Path) -> dict:
    """The agreement table of a folder, kept beside its graphs."""
    kept = folder / "verify.json"
    if not kept.exists():
        write_whole(kept, json.dumps(said("verify", str(folder))).encode())
    return json.loads(kept.read_text())


def compiled(folder: Path, graph: str) -> dict:
    """What FINN makes of a graph."""
    with tempfile.TemporaryDirectory() as scratch:
        out = str(Path(scratch) / "build")
        found = said("finn", str(folder / f"{graph}.onnx"), "--out", out, "--part", PART, "--fps", str(FPS))
    return {name: value for name, value in found.items() if name != "folding"}


def main(command: str, models: dict[str, Path]) -> None:
    if command == "verify":
        result = {"models": {name: verified(folder)["engines"] for name, folder in models.items()}}
    else:
        result = {"part": PART, "fps": FPS, "rows": []}
        for name, folder in models.items():
            for graph in ("dataflow", "sequence-dataflow"):
                result["rows"].append({"model": name, "graph": graph, **compiled(folder, graph)})
    write_whole(RESULTS / f"{command}.json", (json.dumps(result, indent=2) + "\n").encode())


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    main(command, {name: Path(folder) for name, _, folder in (argument.partition("=") for argument in arguments)})
