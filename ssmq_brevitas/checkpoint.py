"""Checkpoints: safetensors files with the configuration inside. No pickles; a file appears whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from .config import Config, parse_config
from .errors import SsmqError
from .files import write_whole
from .model import Classifier

METADATA = "ssmq"
KIND = "ssmq-checkpoint"
STATE_KIND = "ssmq-training-state"


def _write(path: Path, tensors: dict[str, torch.Tensor], kind: str, content: dict) -> None:
    # One metadata entry: safetensors writes several in no fixed order, and equal models shall be equal files.
    metadata = {METADATA: json.dumps({"kind": kind, **content})}
    write_whole(path, save({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, metadata=metadata))


def _read(path: Path, kind: str) -> tuple[dict[str, torch.Tensor], dict]:
    if not path.is_file():
        raise SsmqError(f"{path}: no such checkpoint file")
    try:
        with safe_open(path, framework="pt") as file:
            content = json.loads((file.metadata() or {}).get(METADATA, "{}"))
            if content.get("kind") != kind:
                raise SsmqError(f"{path}: a safetensors file, but not a {kind} of this program")
            return {name: file.get_tensor(name) for name in file.keys()}, content
    except json.JSONDecodeError as error:
        raise SsmqError(f"{path}: not a readable checkpoint, its description is damaged ({error})") from error
    except (SafetensorError, OSError) as error:
        raise SsmqError(f"{path}: not a readable checkpoint, corrupt or truncated ({error})") from error


def save_checkpoint(path: Path, model: Classifier, config: Config, note: dict | None = None) -> None:
    """Write a float or quantised model with its configuration. ``note`` is free JSON (data, seed, accuracy)."""
    content = {
        "format": "quantised" if model.quantised else "float",
        "config": config.model_dump(mode="json"),
        "note": note or {},
    }
    _write(path, model.state_dict(), KIND, content)


def load_checkpoint(path: Path) -> tuple[Classifier, Config, dict]:
    """Read a model as it was saved, in evaluation mode, with its configuration and note."""
    from .quantize import empty_quantised

    tensors, content = _read(Path(path), KIND)
    config = parse_config(content.get("config", {}), origin=f"{path} (configuration inside)")
    model = empty_quantised(config) if content.get("format") == "quantised" else Classifier(config.model)
    _load_into(model, tensors, path)
    return model.eval(), config, content.get("note", {})


def _load_into(model: torch.nn.Module, tensors: dict[str, torch.Tensor], path: Path) -> None:
    wide = [t.dtype for t in tensors.values() if t.is_floating_point()]
    if torch.float64 in wide:
        model.double()
    try:
        model.load_state_dict(tensors, strict=True)
    except RuntimeError as error:
        reason = str(error).splitlines()[1].strip() if len(str(error).splitlines()) > 1 else str(error)
        raise SsmqError(f"{path}: the tensors do not fit the configuration inside ({reason})") from error


def save_training_state(path, model, optimiser, step, loss_sum, seconds, rows, seed, steps) -> None:
    """Everything needed to continue a run bit-identically."""
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    for index, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{index}.{name}": torch.as_tensor(value) for name, value in state.items()}
    position = {"step": step, "loss_sum": loss_sum, "seconds": seconds, "rows": rows, "seed": seed, "steps": steps}
    _write(Path(path), tensors, STATE_KIND, position)


def load_training_state(path, model, optimiser, seed, steps) -> tuple[int, float, float, list[dict]]:
    """Restore model and optimiser in place; returns step, running loss, seconds spent and history rows."""
    tensors, position = _read(Path(path), STATE_KIND)
    if (position["seed"], position["steps"]) != (seed, steps):
        raise SsmqError(
            f"{path}: belongs to a run of {position['steps']} steps with seed {position['seed']}, not {steps} steps "
            f"with seed {seed}: remove it, or give the same settings"
        )
    _load_into(model, {k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")}, path)
    saved = optimiser.state_dict()
    state: dict[int, dict] = {}
    for key, value in tensors.items():
        if key.startswith("optimiser."):
            _, index, name = key.split(".", 2)
            state.setdefault(int(index), {})[name] = value
    optimiser.load_state_dict({"state": state, "param_groups": saved["param_groups"]})
    return position["step"], position["loss_sum"], position["seconds"], position["rows"]
