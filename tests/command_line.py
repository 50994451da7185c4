"""``ssmq`` in a process of its own without the seconds that its imports take: forked from one that has them.

Each fork imports this file: nothing here may import what the server of the forks has not, pytest and hypothesis least of all.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from forked_workers import WORKERS, use_workers

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    ["ssmq_cli.commands", "ssmq_brevitas.checkpoint", "ssmq_brevitas.train", "ssmq_brevitas.scan.cpu", "ssmq_brevitas.start"]
    + ["ssmq_brevitas.plots", "ssmq_study.sensitivity", "ssmq_study.cards", "ssmq_study.allocation", "ssmq_study.storage"]
    + ["ssmq_study.report.page", "ssmq_export.checks", "ssmq_export.lowering", "ssmq_export.integer", "ssmq_export.estimates"]
    + ["ssmq_export.custom_op", "qonnx.core.onnx_exec", "matplotlib.pyplot", "optuna"]
)
SECONDS = 240


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


def ssmq(
    *arguments: object, cwd: Path | None = None, stdout: str | None = None, environment: dict[str, str] | None = None
) -> Done:
    """Run one command line; ``stdout`` names a device to print to, ``environment`` what differs. A long one has hung."""
    with tempfile.TemporaryDirectory() as scratch:
        out, err = (Path(scratch) / name for name in ("out", "err"))
        out.touch(), err.touch()
        words = [os.fsencode(str(argument)) for argument in arguments]
        # The forks' environment is that in which their server was started.
        shared = {WORKERS: os.environ[WORKERS]} if WORKERS in os.environ else {}
        environment = {**shared, **(environment or {})}
        process = FORKS.Process(target=_main, args=(words, str(cwd or scratch), stdout or str(out), str(err), environment))
        process.start()
        process.join(SECONDS)
        if process.is_alive():
            process.kill()
            raise AssertionError(f"hangs: {arguments}")
        return Done(process.exitcode, *(path.read_text(errors="surrogateescape") for path in (out, err)))


def _main(words: list[bytes], cwd: str, out: str, err: str, environment: dict[str, str]) -> None:
    from ssmq_cli.main import main
    from ssmq_cli.output import console

    gc.freeze()  # or each fork would copy what was imported, to look for garbage in it

    for number, path in ((1, out), (2, err)):
        file = os.open(path, os.O_WRONLY)
        os.dup2(file, number)
        os.close(file)
    os.chdir(cwd)
    os.environ |= {"COLUMNS": "400", **environment}
    if "COLUMNS" in environment:  # the console is older than this process
        console.width = int(environment["COLUMNS"])
    if WORKERS in environment:
        use_workers()
    sys.argv = ["ssmq", *map(os.fsdecode, words)]
    main()
