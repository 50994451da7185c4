"""The examples, run as a user runs them, and the README's first code."""

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
        r"(?s)FINN-style: .*\nlegal",
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


def test_the_first_code_of_the_readme_runs(tmp_path):
    code = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)[1]
    (tmp_path / "first.py").write_text(code)
    said = run("first.py", folder=tmp_path)
    assert re.search(r"step\.onnx +\d+ +[\d,]+ +0\n", said), said
    assert len(re.findall(r"(qonnx step|dataflow graph|integer model) +\d+ +[\d,]+ +0\n", said)) == 3, said
    assert re.search(r"(?m)^legal", said) and re.search(r"sequences a second at 100 MHz", said), said
    assert {path.name for path in (tmp_path / "graphs").glob("*.onnx")} == GRAPHS
