"""``ssmq`` in a process of its own without the seconds that its imports take: forked from one that has them."""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from conftest import LENGTH, small_config, small_model
from ssmq_brevitas.checkpoint import save_checkpoint
from ssmq_export.from_network import step_graph
from ssmq_export.lowering import lower

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    ["ssmq_cli.commands", "ssmq_brevitas.checkpoint", "ssmq_brevitas.train", "ssmq_study.sensitivity", "ssmq_study.cards"]
    + ["ssmq_study.allocation", "ssmq_export.checks", "ssmq_export.lowering", "ssmq_export.integer", "ssmq_export.estimates"]
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
        process = FORKS.Process(
            target=_main, args=(words, str(cwd or scratch), stdout or str(out), str(err), environment or {})
        )
        process.start()
        process.join(SECONDS)
        if process.is_alive():
            process.kill()
            raise AssertionError(f"hangs: {arguments}")
        return Done(process.exitcode, *(path.read_text(errors="surrogateescape") for path in (out, err)))


def _main(words: list[bytes], cwd: str, out: str, err: str, environment: dict[str, str]) -> None:
    from ssmq_cli.main import main
    from ssmq_cli.output import console

    for number, path in ((1, out), (2, err)):
        file = os.open(path, os.O_WRONLY)
        os.dup2(file, number)
        os.close(file)
    os.chdir(cwd)
    os.environ |= {"COLUMNS": "400", **environment}
    if "COLUMNS" in environment:  # the console is older than this process
        console.width = int(environment["COLUMNS"])
    sys.argv = ["ssmq", *map(os.fsdecode, words)]
    main()


def small_files(folder: Path, name: str) -> Path:
    """``folder`` with a small model of that name, float and quantised, its graphs, its preset and data for it."""
    folder.mkdir(parents=True)
    (folder / "none").mkdir()
    config = small_config().model_copy(update={"name": name})
    floating, model = small_model(config)
    note = {"data": {"name": name, "source": name, "train": 1, "validation": 1, "test": 1}}
    save_checkpoint(folder / "float.safetensors", floating, note)
    save_checkpoint(folder / "model.safetensors", model, note)
    step = step_graph(model.network, {"ssmq.config": config.model_dump_json()})
    onnx.save(step, folder / "step.onnx")
    onnx.save(lower(step), folder / "dataflow.onnx")
    rng = np.random.default_rng(0)
    images = {f"x{split}": rng.integers(0, 256, (24, LENGTH, 1), np.uint8) for split in ("", "_test")}
    labels = {f"y{split}": rng.integers(0, 3, 24, np.uint8) for split in ("", "_test")}
    np.savez(folder / "data.npz", **images, **labels)
    preset = f"[model]\nheads = 4\nmodes = 3\nlayers = 2\nclasses = 3\nlength = {LENGTH}\n"
    (folder / "own.toml").write_text(preset)
    return folder
