"""Starting the worker, and its failures as one message."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

from ..errors import ExportError

INSTALL = "pip install 'ssmq-brevitas[finn]' && pip install --no-deps finn-plus==1.6.1"

# What every build must say so that codes stay what they are. From 9 bits on FINN makes one float multiplication
# (Requant) of thresholds whose steps are equal within 1 %: half to even is lost, and one code off in a step adds up.
EXACT = {"requant_bitwidth_threshold": 64}


def available() -> bool:
    """Whether finn-plus is installed."""
    return importlib.util.find_spec("finn") is not None


def work(arguments: list[str], scratch: Path) -> None:
    """Run the worker with ``scratch`` as FINN's own build folder. Raises ExportError with FINN's last words."""
    if not available():
        raise ExportError(f"finn-plus is not installed: {INSTALL}")
    done = subprocess.run(
        [sys.executable, "-m", "ssmq_export.finn.worker", *arguments],
        env={**os.environ, "FINN_BUILD_DIR": str(scratch)},
        cwd=scratch,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        lines = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        said = [line.removeprefix("finn: ") for line in lines if line.startswith("finn: ")] or lines[-1:] or ["nothing"]
        steps = [line.removeprefix("step: ") for line in lines if line.startswith("step: ")]
        raise ExportError(f"FINN stopped{f' in {steps[-1]}' if steps else ''}: {said[-1]}")
