"""The state of an unfinished training, and what a training is: settings, data, start and seed.

Two trainings of one identity give the same weights, bit for bit; a state or a result of another one is never gone on
from.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .checkpoint import KIND, fill, load_checkpoint
from .config import ModelConfig, Scheme, Training
from .data import SequenceData
from .errors import SsmqError
from .model import Model
from .task import Task
from .tensor_file import read_tensors, write_tensors

STATE_KIND = "ssmq-training-state"
MOMENTS = {"step", "exp_avg", "exp_avg_sq"}


def settings(model: ModelConfig, task: Task, scheme: Scheme | None, data: SequenceData, training: Training, seed: int) -> dict:
    """What the result of a training depends on but the model that it starts from; JSON. Data are a hash."""
    return {
        "task": task.model_dump(mode="json"),
        "model": model.model_dump(mode="json") | {"input": model.input_format.model_dump(mode="json")},
        "scheme": None if scheme is None else scheme.model_dump(mode="json"),
        "training": training.model_dump(mode="json"),
        "seed": seed,
        "data": f"{data.digest} {data.row}",
    }


def identity(model: Model, data: SequenceData, training: Training, seed: int) -> dict:
    """``settings`` and a hash of ``model`` as it is now, before it is trained."""
    start = hashlib.sha256()
    for name, tensor in model.network.state_dict().items():
        start.update(f"{name} {tensor.dtype}".encode())
        start.update(tensor.cpu().contiguous().numpy())
    return settings(model.shape, model.task, model.scheme, data, training, seed) | {"start": start.hexdigest()}


def refuse_other(path: Path, found: dict, wanted: dict) -> None:
    """Raise SsmqError naming what differs between two identities; ``path`` has the first."""
    if not found:
        raise SsmqError(f"{path}: does not say which training made it: give another folder, or move the file away")
    before, now = _flat(found), _flat(wanted)
    for key, value in now.items():
        if before.get(key) != value:
            hashed = key in ("data", "start")
            what = {"data": "of other data", "start": "that starts from another model"}.get(key, f"with another {key}")
            values = "" if hashed else f" ({before.get(key)}, not {value})"
            raise SsmqError(
                f"{path}: belongs to a training {what}{values}: give the same settings, another folder, or remove the file"
            )


def _flat(values: object, key: str = "") -> dict[str, object]:
    if not isinstance(values, dict):
        return {key: values}
    return {k: v for name, value in values.items() for k, v in _flat(value, f"{key}.{name}".strip(".")).items()}


def finished(path: Path, wanted: dict) -> Model | None:
    """The result of the training ``wanted`` if ``path`` has it; raises SsmqError if that is the result of another."""
    if not path.exists():
        return None
    model, note = load_checkpoint(path)
    refuse_other(path, _identity(note), wanted)
    return model


def refuse_mixture(checkpoint: Path, state: Path, wanted: dict) -> None:
    """Raise SsmqError if the result or the state that is there belongs to a training of other ``settings``."""
    if checkpoint.exists():
        refuse_other(checkpoint, _identity(read_tensors(checkpoint, KIND)[1].get("note")), wanted)
    if state.exists():
        refuse_other(state, _identity(read_tensors(state, STATE_KIND)[1]), wanted)


def _identity(content: object) -> dict:
    found = content.get("identity") if isinstance(content, dict) else None
    return found if isinstance(found, dict) else {}


def save_training_state(
    path: Path,
    model: Model,
    optimiser: torch.optim.Optimizer,
    step: int,
    loss_sum: float,
    seconds: float,
    rows: list[dict],
    steps: int,
    about: dict,
) -> None:
    """Everything needed to continue a run bit-identically. ``about`` is the run's identity."""
    tensors = {f"model.{name}": value for name, value in model.network.state_dict().items()}
    for index, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{index}.{name}": torch.as_tensor(value) for name, value in state.items()}
    position = {"step": step, "steps": steps, "loss_sum": loss_sum, "seconds": seconds, "rows": rows, "identity": about}
    write_tensors(Path(path), tensors, STATE_KIND, position)


class _Row(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
    epoch: int
    loss: float
    validation: float
    seconds: float


class _Position(BaseModel):
    model_config = ConfigDict(strict=True, allow_inf_nan=False)
    step: Annotated[int, Field(ge=0)]
    steps: int
    loss_sum: float
    seconds: float
    rows: list[_Row]
    identity: dict


def load_training_state(
    path: Path, model: Model, optimiser: torch.optim.Optimizer, per_epoch: int, steps: int, about: dict
) -> tuple[int, float, float, list[dict]]:
    """Restore model and optimiser in place; returns step, running loss, seconds spent and history rows.

    Raises SsmqError, with both as they were, if the file is damaged or the state of another run.
    """
    tensors, content = read_tensors(path, STATE_KIND)
    try:
        position = _Position.model_validate({key: content.get(key) for key in _Position.model_fields})
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(map(str, problem["loc"]))
        raise SsmqError(f"{path}: not a readable training state ({key}: {problem['msg'].lower()}): remove it") from error
    seed, before = about["seed"], position.identity.get("seed")
    if (before, position.steps) != (seed, steps):
        raise SsmqError(
            f"{path}: belongs to a run of {position.steps} steps with seed {before}, not {steps} steps "
            f"with seed {seed}: remove it, or give the same settings"
        )
    refuse_other(path, position.identity, about)
    if not 0 <= position.step - per_epoch * len(position.rows) <= per_epoch or position.step > steps:
        raise SsmqError(
            f"{path}: not a readable training state (step {position.step} after {len(position.rows)} epochs): remove it"
        )
    state = _optimiser_state(path, tensors, optimiser)
    fill(model.network, {k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")}, path)
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
    rows = [row.model_dump() for row in position.rows]
    return position.step, position.loss_sum, position.seconds, rows


def _optimiser_state(
    path: Path, tensors: dict[str, torch.Tensor], optimiser: torch.optim.Optimizer
) -> dict[int, dict[str, torch.Tensor]]:
    """Adam's moments of every parameter that has some, of the parameter's shape."""
    shapes = [parameter.shape for group in optimiser.param_groups for parameter in group["params"]]
    state: dict[int, dict] = {}
    for key, value in tensors.items():
        if key.startswith("model."):
            continue
        kind, _, rest = key.partition(".")
        index, _, name = rest.partition(".")
        known = kind == "optimiser" and name in MOMENTS and index in map(str, range(len(shapes)))
        fits = known and value.shape == (() if name == "step" else shapes[int(index)])
        if not fits or (name != "exp_avg" and bool((value < 0).any())):
            raise SsmqError(f"{path}: not a readable training state ({key[:80]!r} fits no parameter): remove it")
        state.setdefault(int(index), {})[name] = value
    incomplete = next((index for index, found in state.items() if found.keys() != MOMENTS), None)
    if incomplete is not None:
        raise SsmqError(f"{path}: not a readable training state (moments of parameter {incomplete} are missing): remove it")
    return state
