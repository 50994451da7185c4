"""Running the rows of a study: each in a process of its own, so many at a time, finished ones never again."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from ssmq_brevitas.errors import Interrupted
from ssmq_brevitas.files import write_whole

from .ending import end_all
from .row_files import Job, Settings, finished
from .rows import Row


def run_rows(
    rows: dict[str, Row],
    out: Path,
    settings: Settings,
    data_root: Path | None,
    workers: int,
    on_change: Callable[[str, str, int], None] = lambda row, state, left: None,
) -> list[str]:
    """Run what is not finished and return the ids that failed, or that start from one that did.

    ``on_change(id, state, left)`` tells of every row that starts, finishes or fails. Interrupted, or ended in any other
    way, the workers save their training and end too; Interrupted is raised, and the same call goes on. They share the
    cores, unless the environment says how many threads each has.
    """
    waiting = {name: row for name, row in rows.items() if finished(out, row, settings) is None}
    running: dict[str, subprocess.Popen] = {}
    failed: list[str] = []
    threads = str(max(1, (os.cpu_count() or 1) // workers))
    environment = {"OMP_NUM_THREADS": threads, "NUMBA_NUM_THREADS": threads, **os.environ}
    try:
        while waiting or running:
            for name in [name for name, row in waiting.items() if row.needs in failed]:
                failed.append(name)
                del waiting[name]
            ready = [n for n, row in waiting.items() if row.needs not in waiting.keys() | running.keys()]
            for name in ready[: workers - len(running)]:
                job = Job(row=waiting.pop(name), settings=settings, data_root=data_root and data_root.resolve())
                running[name] = _start(out, name, job, environment)
                on_change(name, "running", len(waiting))
            for name in [name for name, process in running.items() if process.poll() is not None]:
                done = running.pop(name).returncode == 0 and (out / name / "result.json").is_file()
                if not done:
                    failed.append(name)
                on_change(name, "finished" if done else "failed", len(waiting))
            time.sleep(0.05)
    except KeyboardInterrupt:
        raise Interrupted("interrupted; the same command goes on from here") from None
    finally:
        end_all(list(running.values()))
    return failed


def _start(out: Path, name: str, job: Job, environment: dict[str, str]) -> subprocess.Popen:
    folder = out / name
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / "job.json", job.model_dump_json(indent=2).encode())
    with (folder / "log.txt").open("a") as log:
        # A session of its own: Ctrl-C reaches it once, from here.
        command = [sys.executable, "-m", "ssmq_study.worker", str(out), name, str(os.getpid())]
        return subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)
