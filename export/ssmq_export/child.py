"""Workers: Python processes that end with the one that started them and take whatever they started along."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PARENT = "SSMQ_PARENT"


def run_worker(module: str, arguments: list[str], scratch: Path, **environment: str) -> subprocess.CompletedProcess:
    """``python -m module arguments`` to its end, in ``scratch``, where its temporary files lie too.

    The worker leads a process group of its own, which is killed if this process is interrupted.
    """
    worker = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        env={**os.environ, "TMPDIR": str(scratch), _PARENT: str(os.getpid()), **environment},
        cwd=scratch,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        heard = worker.communicate()
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(worker.pid, signal.SIGKILL)
        worker.communicate()
        raise
    return subprocess.CompletedProcess(worker.args, worker.returncode, *heard)


def end_with_parent() -> None:
    """Called by a worker: when its parent dies, however it does, the worker's whole group is killed (on Linux)."""
    signal.signal(signal.SIGTERM, lambda number, frame: os.killpg(0, signal.SIGKILL))
    if not signalled_with(int(os.environ[_PARENT]), signal.SIGTERM):
        os.killpg(0, signal.SIGKILL)


def signalled_with(parent: int, number: int) -> bool:
    """Ask for the signal ``number`` when ``parent``, which started this process, is gone; False if it went before that.

    Only Linux can be asked; elsewhere nothing happens.
    """
    if sys.platform != "linux":
        return True
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
    return os.getppid() == parent


def last_words(done: subprocess.CompletedProcess, prefix: str) -> str:
    """Why a worker failed: its last line that starts with ``prefix``, or its last line, or the signal that ended it."""
    if done.returncode < 0:
        return f"ended by {signal.Signals(-done.returncode).name}"
    lines = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
    said = [line.removeprefix(prefix) for line in lines if line.startswith(prefix)]
    return (said or lines or ["it said nothing"])[-1]
