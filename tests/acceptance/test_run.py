"""The main job as it stands in the README, minutes long."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SSMQ = str(Path(sys.executable).parent / "ssmq")


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["edge-2x16", "paper-h16"])
def test_the_whole_way_on_the_embedded_data(preset, tmp_path):
    done = subprocess.run([SSMQ, "run", "--preset", preset, "--out", str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "summary.json").read_text())
    accuracy = {row["stage"]: row["accuracy"] for row in summary["rows"]}
    assert accuracy["float"] > 0.95
    assert accuracy["naive PTQ"] < 0.5, "8-bit post-training quantisation is expected to collapse"
    assert accuracy["QAT"] > 0.85
    assert summary["check"]["errors"] == 0
    for row in summary["verify"]:
        assert (row["sequences"], row["differing"]) == (100, 0)
