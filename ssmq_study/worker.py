"""One row of a study in a process of its own: ``python -m ssmq_study.worker OUT ID [PARENT]``, with OUT/ID/job.json.

Killed, it goes on where it was when started again: training saves its state. The result appears whole, at the end.
"""

from __future__ import annotations

import gc
import signal

if __name__ == "__main__":
    # Some imports swallow an interrupt; until there is something to save, it ends this process.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # What the imports make stays: looking through it for garbage again and again would take a quarter of a worker's start.
    gc.disable()

# ruff: noqa: E402
import json
import sys
import time
from pathlib import Path

import torch
from ssmq_brevitas.checkpoint import load_checkpoint, save_checkpoint
from ssmq_brevitas.config import Training
from ssmq_brevitas.data import SequenceData, load_data
from ssmq_brevitas.errors import SsmqError
from ssmq_brevitas.files import sole_use, write_whole
from ssmq_brevitas.model import Model
from ssmq_brevitas.post_training import CALIBRATED, fitted
from ssmq_brevitas.score import score
from ssmq_brevitas.start import quantized_start
from ssmq_brevitas.train import Progress, train
from ssmq_export.errors import ExportError

from .ending import end_with_parent
from .paper_quantizers import paper_ptq
from .quoted import quoted_score
from .row_files import Job, finished, read_job, start_file, start_hash
from .rows import Row

ENGINES = {"float": "float", "paper-ptq": "the paper's quantisers, fake", "ptq": "integer", "qat": "integer"}


def run_job(job: Job, folder: Path) -> dict:
    """Do the work of a row in ``folder``; float models lie in the folders beside it."""
    began = time.monotonic()
    row, data = job.row, _data(job)
    model, epochs = _model(job, data, folder)
    fake = row.kind == "paper-ptq"
    # Nothing is chosen among the paper's quantisers: only their test accuracy is of interest.
    validation = None if fake else score(model, data.x_validation, data.y_validation).value
    if validation is not None:
        print(f"validation {validation:.4f}", flush=True)
    test = (score(model, data.x_test, data.y_test) if fake else quoted_score(model, data)).value
    result = {
        "id": row.id,
        "name": row.name,
        "seed": row.seed,
        "engine": ENGINES[row.kind],
        "accuracy": test,
        "validation": validation,
        "images": len(data.y_test),
        "data": data.describe(),
        "bytes": None if fake else model.footprint().as_dict(),
        "epochs": epochs,
        "seconds": round(time.monotonic() - began, 1),
        "start": start_hash(folder.parent, row),
    }
    print(f"test {test:.4f} on {len(data.y_test)} images, {result['seconds']} s", flush=True)
    return result


def _data(job: Job) -> SequenceData:
    data, count = load_data(job.data_root, job.settings.dataset), job.settings.test_images
    if job.settings.data_hash not in (None, data.digest):
        raise SsmqError(
            f"the data in {job.data_root or 'the package'} are not what the study was started with: give these, or a new folder"
        )
    if count is None:
        return data
    # The embedded test images are sorted by class: take an even sub-sample.
    stride = max(1, len(data.y_test) // count)
    values = {name: getattr(data, name) for name in SequenceData.__dataclass_fields__}
    return SequenceData(**values | {"x_test": data.x_test[::stride], "y_test": data.y_test[::stride]})


def _model(job: Job, data: SequenceData, folder: Path) -> tuple[Model, list[float]]:
    """The row's model, and its validation accuracy after every epoch of training."""
    row, config = job.row, job.row.config
    torch.manual_seed(row.seed)
    if row.kind == "float":
        if row.pretrained:
            model, note = _start(folder, row)
            # What is shipped serves the data that it was trained on; any others get a model of their own.
            if data.was_learnt(note["data"]) and model.shape == config.model:
                save_checkpoint(folder / "model.safetensors", model, note)
                return model, []
        return _trained(Model.floating(config), config.train.floating, job, data, folder)
    start, _ = _start(folder, row)
    if row.kind == "paper-ptq":
        assert row.quantiser is not None
        return paper_ptq(start, data.x_train[:CALIBRATED], row.quantiser), []
    model = quantized_start(start, config, data.x_train)
    if row.kind == "ptq":
        return (fitted(model, start, data.x_train) if row.reconstruct else model), []
    return _trained(model, config.train.qat, job, data, folder)


def _start(folder: Path, row: Row) -> tuple[Model, dict]:
    path = start_file(folder.parent, row)
    assert path is not None, row.id
    return load_checkpoint(path)


def _trained(model: Model, training: Training, job: Job, data: SequenceData, folder: Path) -> tuple[Model, list[float]]:
    if job.settings.epochs is not None:
        training = training.model_copy(update={"epochs": job.settings.epochs})

    def report(progress: Progress) -> None:
        if progress.validation is not None:
            row = f"epoch {progress.epoch + 1}: loss {progress.loss:.4f}"
            print(f"{row}, validation {progress.validation:.4f}", flush=True)

    state, log = folder / "state.safetensors", folder / "epochs.csv"
    history = train(model, data, training, seed=job.row.seed, on_step=report, state_path=state, log_path=log)
    note = {"data": data.describe(), "seed": job.row.seed, "epochs": training.epochs, "row": job.row.id}
    save_checkpoint(folder / "model.safetensors", model.eval(), note)
    return model, [row["validation"] for row in history.rows]


def main(out: Path, name: str, parent: int | None = None) -> int:
    """Run one job unless its result is there; 1 if it failed, 130 if it was interrupted, or ``parent`` has ended."""
    try:
        if parent is not None:
            end_with_parent(parent)
        return _alone(out, name)
    except (SsmqError, ExportError) as error:
        print(f"error: {error}", flush=True)
        return 1
    except OSError as error:
        print(f"error: {error.filename}: {error.strerror}", flush=True)
        return 1
    except KeyboardInterrupt:
        print("interrupted", flush=True)
        return 130


def _alone(out: Path, name: str) -> int:
    folder, job = out / name, read_job(out, name)
    # A row runs once at a time, whoever started it.
    with sole_use(folder, wait=True):
        if finished(out, job.row, job.settings) is None:
            found = run_job(job, folder)
            defined = {"row": job.row.model_dump(mode="json"), "settings": job.settings.model_dump(mode="json")}
            write_whole(folder / "result.json", json.dumps({**found, **defined}, indent=2).encode())
            (folder / "state.safetensors").unlink(missing_ok=True)
    return 0


if __name__ == "__main__":
    gc.freeze()
    gc.enable()
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:])))
