"""Damaged files through every reader, as ``scripts/fuzz`` draws them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

FUZZ = Path(__file__).parents[2] / "scripts" / "fuzz"


def fuzzed(count: int, seed: int) -> str:
    command = [sys.executable, str(FUZZ), "--count", str(count), "--seed", str(seed)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    return done.stdout


def test_no_reader_fails_on_damaged_files():
    text = fuzzed(1000, seed=7)
    # Damage that everything refuses, or nothing, would test nothing.
    for kind in ("check", "estimate", "checkpoint", "toml", "npz", "results", "card"):
        line = next(line for line in text.splitlines() if line.startswith(f"{kind}:"))
        assert "'accepted'" in line and (kind == "check" or "'refused'" in line), line


@pytest.mark.slow
def test_no_reader_fails_on_a_hundred_thousand_damaged_files():
    fuzzed(100_000, seed=0)
