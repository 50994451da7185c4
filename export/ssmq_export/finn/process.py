"""Starting the worker, and its failures as one message."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from ..child import last_words, run_worker
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
    done = run_worker("ssmq_export.finn.worker", arguments, scratch, FINN_BUILD_DIR=str(scratch))
    if done.returncode:
        steps = [line.removeprefix("step: ").strip() for line in done.stderr.splitlines() if line.startswith("step: ")]
        raise ExportError(f"FINN stopped{f' in {steps[-1]}' if steps else ''}: {last_words(done, 'finn: ')}")
