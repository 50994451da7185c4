"""results/second-dataset.json: a data set of several input channels all the way, by the commands that it lists.

    pip install --no-deps sktime==1.2.0
    python scripts/measure_dataset.py

Everything is left in runs/vowels, which must not exist yet.
Test sequences are classified once, after training; they choose nothing.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

from ssmq_brevitas.checkpoint import load_checkpoint
from ssmq_brevitas.data import load_data
from ssmq_brevitas.files import write_whole
from ssmq_brevitas.score import score
from ssmq_study.quoted import quoted_score

ROOT = Path(__file__).parents[1]
FILE, OUT = "runs/vowels/japanese-vowels.npz", "runs/vowels"
DATA = f"--dataset npz:{FILE}"
PRESET = "--preset configs/japanese-vowels.toml"
PART, FPS = "xc7z020clg400-1", 1000
COMMANDS = {
    "data": f"python scripts/japanese_vowels.py {FILE}",
    "float": f"ssmq train {PRESET} {DATA} --out {OUT}",
    "qat": f"ssmq train {PRESET} {DATA} --from {OUT}/float.safetensors --out {OUT}",
    "export": f"ssmq export {OUT}/qat.safetensors {DATA} --out {OUT}/graphs",
    "verify": f"ssmq verify {OUT}/graphs {DATA} --json",
    "check": f"ssmq check {OUT}/graphs/dataflow.onnx --json",
    "finn": f"ssmq finn {OUT}/graphs/dataflow.onnx --part {PART} --fps {FPS} --out {OUT}/finn --json",
}


def said(command: str) -> str:
    """What a command prints, the project's own with the Python that runs this."""
    program, *arguments = shlex.split(command)
    own = {"python": [sys.executable], "ssmq": [str(Path(sys.executable).parent / "ssmq")]}
    print(command, flush=True)
    return subprocess.run([*own[program], *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout


def measured(name: str, data) -> dict:
    """A trained model: accuracy and bytes."""
    model, note = load_checkpoint(ROOT / OUT / f"{name}.safetensors")
    return {
        "stage": name,
        "epochs": note["epochs"],
        "validation": score(model, data.x_validation, data.y_validation).value,
        "test": quoted_score(model, data).value,
        "bytes": model.footprint().as_dict(),
    }


def main() -> None:
    told = {name: said(command) for name, command in COMMANDS.items()}
    data = load_data(dataset=f"npz:{ROOT / FILE}")
    findings = json.loads(told["check"])["findings"]
    finn = json.loads(told["finn"])
    result = {
        "data": {**data.describe(), "channels": data.channels, "steps": data.length, "classes": data.classes},
        "stages": [measured(name, data) for name in ("float", "qat")],
        "verify": json.loads(told["verify"])["engines"],
        "check": {f"{kind}s": sum(found["severity"] == kind for found in findings) for kind in ("error", "warning")},
        "finn": {"part": PART, "fps": FPS, **{name: value for name, value in finn.items() if name != "folding"}},
        "commands": list(COMMANDS.values()),
    }
    write_whole(ROOT / "results" / "second-dataset.json", (json.dumps(result, indent=2) + "\n").encode())


if __name__ == "__main__":
    main()
