"""A user's own Brevitas step cell, exported by Brevitas itself: `ssmq check` says what stands in FINN's way."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import onnx

ROOT = Path(__file__).parents[2]
SSMQ = str(Path(sys.executable).parent / "ssmq")


def test_a_user_s_own_cell_is_judged(tmp_path):
    cell = tmp_path / "cell.onnx"
    subprocess.run([sys.executable, str(ROOT / "examples" / "step_cell.py"), str(cell)], check=True, capture_output=True)
    done = subprocess.run([SSMQ, "check", str(cell), "--json"], capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr == ""
    findings = json.loads(done.stdout)["findings"]
    errors = {(f["rule"], f["node"].rpartition("/")[2]) for f in findings if f["severity"] == "error"}
    nodes = {node.name.rpartition("/")[2] for node in onnx.load(cell).graph.node}
    assert {name for _, name in errors if name} <= nodes
    # What Brevitas writes for these layers: a Gemm for each linear layer with a bias, and float scales. Its tanh stands between
    # quantisers, of which lowering makes thresholds.
    assert ("hardware-op", "Gemm") in errors and ("hardware-op", "Tanh") not in errors
    assert {"not-lowered", "power-of-two-scale"} <= {rule for rule, _ in errors}
    assert all(f["fix"] and f["message"] for f in findings)
