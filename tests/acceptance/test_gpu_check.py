"""The script for a machine with a GPU, as far as one without can tell."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from ssmq_brevitas.errors import SsmqError
from ssmq_cli.bench.timing import refuse_missing
from ssmq_study.report.markdown import table_text

ROOT = Path(__file__).parents[2]


def checked(*arguments: str) -> subprocess.CompletedProcess:
    command = ["bash", str(ROOT / "scripts" / "gpu_check.sh"), *arguments]
    environment = os.environ | {"PYTHON": sys.executable, "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=3000)


def test_without_a_gpu_it_says_so_and_what_to_do(tmp_path):
    found = checked(str(tmp_path))
    assert found.returncode == 2 and "no CUDA device here; --dry-run" in found.stderr and not list(tmp_path.iterdir())
    if not torch.cuda.is_available():
        with pytest.raises(SsmqError, match="torch finds no CUDA device: install"):
            refuse_missing("cuda")


@pytest.mark.slow
def test_the_dry_run_goes_all_the_way():
    found = checked("--dry-run")
    assert found.returncode == 0, found.stdout + found.stderr
    result = json.loads((ROOT / "build" / "gpu-dry-run.json").read_text())
    assert len(result["rows"]) >= 12 and {row[-1] for row in result["rows"]} == {"yes"}
    assert table_text(result).count("\n") > len(result["rows"])
