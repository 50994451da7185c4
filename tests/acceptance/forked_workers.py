"""Workers of FINN and hls4ml, forked from one process that has imported these tools: a worker's imports take longer than it works.

    python tests/acceptance/forked_workers.py       reads jobs, a line of JSON each; answers the exit status of each

What a worker does, prints and is told is the same; ``test_finn.py`` and ``test_hls4ml.py`` start some of their own too, by
the command line.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import subprocess
import sys
import tempfile
import traceback
from functools import cache
from pathlib import Path

from ssmq_export.child import _PARENT


@cache
def _server() -> subprocess.Popen:
    server = subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    atexit.register(_end, server)
    return server


def _end(server: subprocess.Popen) -> None:
    server.communicate()


def run_worker(module: str, arguments: list[str], scratch: Path, **environment: str) -> subprocess.CompletedProcess:
    """As ``ssmq_export.child.run_worker``."""
    server = _server()
    with tempfile.TemporaryDirectory() as place:
        job = {"module": module, "arguments": arguments, "scratch": str(scratch), "place": place}
        job["environment"] = {**os.environ, "TMPDIR": str(scratch), **environment}
        server.stdin.write(f"{json.dumps(job)}\n")
        server.stdin.flush()
        status = int(server.stdout.readline())
        heard = [(Path(place) / name).read_text(errors="replace") for name in ("out", "err")]
    return subprocess.CompletedProcess([module, *arguments], status, *heard)


def _work(job: dict) -> int:
    """In the fork: one worker from its start to its exit status."""
    os.setsid()
    os.environ.clear()
    os.environ.update(job["environment"], **{_PARENT: str(os.getppid())})
    os.chdir(job["scratch"])
    tempfile.tempdir = None
    for number, name in ((0, os.devnull), (1, "out"), (2, "err")):
        file = os.open(os.path.join(job["place"], name), os.O_RDWR | os.O_CREAT)
        os.dup2(file, number)
        os.close(file)
    try:
        importlib.import_module(job["module"]).main(job["arguments"])
    except SystemExit as end:
        return int(end.code or 0)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _serve() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the tools print as they are imported
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["FINN_BUILD_DIR"] = scratch
        with contextlib.suppress(ImportError):  # the tests of a tool that is not there skip
            importlib.import_module("ssmq_export.hls4ml.worker")
            importlib.import_module("hls4ml.converters")
        with contextlib.suppress(ImportError):
            importlib.import_module("ssmq_export.finn.worker")._builder()
        gc.freeze()
        for line in sys.stdin:
            pid = os.fork()
            if not pid:
                status = _work(json.loads(line))
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(status)
            answers.write(f"{os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}\n")
            answers.flush()


if __name__ == "__main__":
    _serve()
