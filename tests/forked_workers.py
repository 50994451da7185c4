"""Workers of FINN and hls4ml, forked from one process that has imported these tools: a worker's imports take longer than it works.

    python tests/forked_workers.py       prints the socket at which it takes jobs; answers the exit status of each

What a worker does, prints and is told is the same; ``test_finn.py`` and ``test_hls4ml.py`` start some of their own too, by
the command line.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import os
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable
from functools import cache
from multiprocessing.connection import Client, Listener
from pathlib import Path

from ssmq_export.child import _PARENT, signalled_with

# In the environment of the tests and of their commands: where the server that they use is.
WORKERS = "SSMQ_TEST_WORKERS"


@cache
def address() -> str:
    """The socket of this process' server, which ends with it."""
    words = [sys.executable, __file__, str(os.getpid())]
    server = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    atexit.register(server.communicate)
    atexit.register(server.terminate)
    return server.stdout.readline().strip()


def use_workers(put: Callable[[object, str, object], None] = setattr) -> None:
    """FINN's and hls4ml's workers of this process are those of the server that ``WORKERS`` names; ``put`` sets it so."""
    from ssmq_export.finn import process
    from ssmq_export.hls4ml import project

    for module in (process, project):
        put(module, "run_worker", run_worker)


def run_worker(module: str, arguments: list[str], scratch: Path, **environment: str) -> subprocess.CompletedProcess:
    """As ``ssmq_export.child.run_worker``."""
    with tempfile.TemporaryDirectory() as place:
        job = {"module": module, "arguments": arguments, "scratch": str(scratch), "place": place}
        job["environment"] = {**os.environ, "TMPDIR": str(scratch), **environment}
        with Client(os.environ[WORKERS]) as server:
            server.send(job)
            status = server.recv()
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


def _serve(parent: int) -> None:
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit())
    if not signalled_with(parent, signal.SIGTERM):
        return
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
        with Listener(family="AF_UNIX") as listener:
            print(listener.address, file=answers, flush=True)
            while True:
                with listener.accept() as client:
                    client.send(_forked(client.recv()))


def _forked(job: dict) -> int:
    """The exit status of a job in a process of its own."""
    pid = os.fork()
    if not pid:
        status = _work(job)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
