"""results/zoo-graphs.json: every model of the zoo exported, judged, verified and given to the real FINN.

    python scripts/measure_zoo.py DATA [NAME ...]

DATA is torchvision's folder of MNIST. A line is kept as soon as its model is done (minutes each, most of them for the
engines that go node by node); models that are not named keep the line that they have.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from ssmq_brevitas.files import write_whole
from ssmq_brevitas.zoo import zoo_models
from ssmq_study.report.kinds import load_result

RESULT = Path(__file__).parents[1] / "results" / "zoo-graphs.json"
SSMQ = str(Path(sys.executable).parent / "ssmq")
PART, FPS = "xc7z020clg400-1", 10
IMAGES, SLOW_IMAGES = 100, 1
HEADINGS = ["model", "engines", "sequences", "codes compared", "differing", "errors", "warnings", "FINN maps", "in"]


def said(*arguments: str) -> str:
    """What a command prints. Raises CalledProcessError if it fails, a differing code included."""
    print("ssmq", *arguments, flush=True)
    return subprocess.run([SSMQ, *arguments], stdout=subprocess.PIPE, text=True, check=True).stdout


def line(name: str, data: str) -> list[str]:
    """One row of the table."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        dataflow = str(folder / "dataflow.onnx")
        said("export", f"zoo:{name}", "--out", scratch, "--data-root", data)
        findings = json.loads(said("check", dataflow, "--json"))["findings"]
        counts = ["--images", str(IMAGES), "--slow-images", str(SLOW_IMAGES)]
        engines = json.loads(said("verify", scratch, *counts, "--data-root", data, "--json"))["engines"]
        given = ["--out", str(folder / "build"), "--part", PART, "--fps", str(FPS)]
        finn = json.loads(said("finn", dataflow, *given, "--json"))
    judged = [str(sum(found["severity"] == kind for found in findings)) for kind in ("error", "warning")]
    sequences = sorted({row["sequences"] for row in engines}, reverse=True)
    return [
        name,
        str(len(engines)),
        " or ".join(str(count) for count in sequences),
        f"{sum(row['codes'] for row in engines):,}",
        str(sum(row["differing"] for row in engines)),
        *judged,
        f"{finn['mapped']} of {finn['nodes']} nodes",
        f"{finn['partitions']} partition" + ("" if finn["partitions"] == 1 else "s"),
    ]


def main(data: str, chosen: list[str]) -> None:
    known = {row[0]: row for row in load_result(RESULT).values["rows"]} if RESULT.exists() else {}
    for name in chosen or zoo_models():
        known[name] = line(name, data)
        result = {
            "kind": "table",
            "title": "The zoo's graphs: every engine, every rule, every node",
            "headings": HEADINGS,
            "rows": [known[name] for name in zoo_models() if name in known],
        }
        write_whole(RESULT, (json.dumps(result, indent=2, ensure_ascii=False) + "\n").encode())


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
