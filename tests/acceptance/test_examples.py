"""The examples, run as a user runs them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SAID = {
    "published_s4d.py": [
        r"after training (0\.[89]|1\.0)",
        r"(?s)(graph: [1-9]\d* codes, 0 differing.*){4}",
        r"\n\s*legal",
    ],
    "brevitas_network.py": [r"accuracy (0\.[89]|1\.0)", r"(?s)(graph: [1-9]\d* codes, 0 differing.*){4}"],
    "detector.py": [r"quantised: (0\.9|1\.0)", r"streamed 96 steps, detected in [1-9]"],
}
GRAPHS = {"step.onnx", "sequence.onnx", "dataflow.onnx", "sequence-dataflow.onnx"}


def run(*command: str, folder: Path) -> str:
    # With the tests' own threads: examples beside each other on two cores would spin.
    found = subprocess.run([sys.executable, *command], cwd=folder, capture_output=True, text=True, env=os.environ)
    assert found.returncode == 0, found.stderr
    return found.stdout


@pytest.mark.parametrize("name", SAID)
def test_an_example_runs_and_leaves_its_graphs(name, tmp_path):
    said = run(str(ROOT / "examples" / name), str(tmp_path / "graphs"), folder=tmp_path)
    for pattern in SAID[name]:
        assert re.search(pattern, said), (pattern, said)
    assert {path.name for path in (tmp_path / "graphs").glob("*.onnx")} == GRAPHS
