"""The zoo all the way: every model's graphs agree in every engine, break no rule, and are mapped by the real FINN."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from ssmq_brevitas.zoo import zoo_models
from ssmq_export import finn, rtl
from ssmq_study.cards import load_card

pytestmark = [pytest.mark.skipif(not finn.available(), reason=finn.INSTALL), pytest.mark.slow]

SSMQ = str(Path(sys.executable).parent / "ssmq")


def said(*arguments: str) -> dict:
    done = subprocess.run([SSMQ, *arguments, "--json"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", zoo_models())
def test_a_model_of_the_zoo_agrees_is_legal_and_is_mapped(name, tmp_path):
    dataflow = str(tmp_path / "dataflow.onnx")
    subprocess.run([SSMQ, "export", f"zoo:{name}", "--out", str(tmp_path)], check=True)
    told = {found["rule"] for found in said("check", dataflow)["findings"] if found["severity"] in ("error", "warning")}
    bits = load_card(zoo_models()[name]).config.scheme.bits
    assert told == ({"threshold-count"} if max(bits.x, bits.pool) > 8 else set())
    engines = said("verify", str(tmp_path), "--images", "20", "--slow-images", "1")["engines"]
    assert len(engines) == 9 + 2 * rtl.available() and sum(row["differing"] for row in engines) == 0
    found = said("finn", dataflow, "--out", str(tmp_path / "build"), "--part", "xc7z020clg400-1", "--fps", "10")
    assert found["unmapped"] == [] and found["mapped"] == found["nodes"] > 0 and found["partitions"] == 1
