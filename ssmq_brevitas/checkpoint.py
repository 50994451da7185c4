"""Checkpoints: safetensors files with the configuration inside. No pickles; a file appears whole or not at all."""

from __future__ import annotations

from pathlib import Path

import torch

from .bounds import FLOAT32_BITS, accumulator_widths, refuse_wide
from .config import Config, parse_config
from .errors import SsmqError
from .model import Classifier
from .post_training import empty_quantized
from .sound import refuse_unsound
from .tensor_file import read_tensors, write_tensors

KIND = "ssmq-checkpoint"


def save_checkpoint(path: Path, model: Classifier, config: Config, note: dict | None = None) -> None:
    """Write a float or quantised model with its configuration. ``note`` is free JSON (data, seed, accuracy).

    Raises SsmqError for a model that could not be loaded again, as one that has diverged.
    """
    refuse_unsound(model, f"{path} is not written")
    content = {
        "format": "quantised" if model.quantized else "float",
        "config": config.model_dump(mode="json"),
        "note": note or {},
    }
    write_tensors(path, model.state_dict(), KIND, content)


def load_checkpoint(path: Path) -> tuple[Classifier, Config, dict]:
    """Read a model as it was saved, in evaluation mode, with its configuration and note.

    Raises SsmqError naming the file and the key or tensor that is wrong with it.
    """
    tensors, content = read_tensors(path, KIND)
    kind, note = content.get("format"), content.get("note", {})
    if kind not in ("float", "quantised") or not isinstance(note, dict):
        raise SsmqError(f"{path}: not a readable checkpoint, its description is damaged (format or note)")
    config = parse_config(content.get("config", {}), origin=f"{path} (configuration inside)")
    model = empty_quantized(config) if kind == "quantised" else Classifier(config.model, config.task)
    fill(model, tensors, path)
    refuse_unsound(model, str(path))
    if model.quantized:
        _exact(model, path)
    return model.eval(), config, note


def fill(model: torch.nn.Module, tensors: dict[str, torch.Tensor], path: Path, what: str = "the configuration inside") -> None:
    """Give ``model``, built from ``what``, exactly these tensors, and their width. Raises SsmqError if one differs."""
    expected = model.state_dict()
    for name in sorted(expected.keys() | tensors.keys()):
        found, wanted = tensors.get(name), expected.get(name)
        if found is None or wanted is None or found.shape != wanted.shape:
            has, needs = ("no such tensor" if t is None else f"shape {tuple(t.shape)}" for t in (found, wanted))
            raise SsmqError(f"{path}: the tensors do not fit {what} ({name}: {has}, not {needs})")
    if torch.float64 in {tensor.dtype for tensor in tensors.values()}:
        model.double()
    model.load_state_dict(tensors)


def _exact(model: Classifier, path: Path) -> None:
    """Move a model whose sums need it to float64, whatever the file has."""
    widths = accumulator_widths(model)
    try:
        refuse_wide(widths)
    except SsmqError as error:
        raise SsmqError(f"{path}: {error}") from error
    if max(widths.values()) > FLOAT32_BITS:
        model.double()
