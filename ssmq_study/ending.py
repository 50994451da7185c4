"""Processes that end with the one that started them, however it ends."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time

from ssmq_export.child import signalled_with

PATIENCE = 60.0  # seconds that a worker has to save its training


def end_with_parent(parent: int) -> None:
    """Ask for SIGINT when the process ``parent``, which started this one, is gone (on Linux), and heed it."""
    # Whoever was started in the background by a script ignores it, and so would this process.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if not signalled_with(parent, signal.SIGINT):
        raise KeyboardInterrupt


def end_all(processes: list[subprocess.Popen]) -> None:
    """Interrupt processes that lead a session each, with all that they started; kill what does not end of itself."""
    until = time.monotonic() + PATIENCE
    for sent in (signal.SIGINT, signal.SIGKILL):
        for process in processes:
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, sent)
        for process in processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, until - time.monotonic()) if sent == signal.SIGINT else None)
