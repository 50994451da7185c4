"""Checkpoints: safetensors files with the configuration inside. No pickles; a file appears whole or not at all."""

from __future__ import annotations

from pathlib import Path

import torch

from .config import parse_config
from .errors import SsmqError
from .model import Model
from .network.structure import settle
from .sound import refuse_unsound
from .tensor_file import read_tensors, write_tensors

KIND = "ssmq-checkpoint"


def save_checkpoint(path: Path, model: Model, note: dict | None = None) -> None:
    """Write a float or quantised model with its configuration. ``note`` is free JSON (data, seed, accuracy).

    Raises SsmqError for a model that could not be loaded again, as one that has diverged.
    """
    refuse_unsound(model.network, model.shape.length, f"{path} is not written")
    content = {
        "format": "quantised" if model.quantized else "float",
        "config": model.config.model_dump(mode="json"),
        "note": note or {},
    }
    write_tensors(path, model.network.state_dict(), KIND, content)


def load_checkpoint(path: Path) -> tuple[Model, dict]:
    """Read a model as it was saved, in evaluation mode, and its note.

    Raises SsmqError naming the file and the key or tensor that is wrong with it.
    """
    tensors, content = read_tensors(path, KIND)
    kind, note = content.get("format"), content.get("note", {})
    if kind not in ("float", "quantised") or not isinstance(note, dict):
        raise SsmqError(f"{path}: not a readable checkpoint, its description is damaged (format or note): save it anew")
    config = parse_config(content.get("config", {}), origin=f"{path} (configuration inside)")
    try:
        model = Model.empty(config) if kind == "quantised" else Model.floating(config)
    except SsmqError as error:
        raise SsmqError(f"{path} (configuration inside): {error}") from error
    fill(model.network, tensors, path)
    refuse_unsound(model.network, config.model.length, str(path))
    if model.quantized:
        try:
            settle(model.graph)
        except SsmqError as error:
            raise SsmqError(f"{path}: {error}") from error
    return model.eval(), note


def fill(model: torch.nn.Module, tensors: dict[str, torch.Tensor], path: Path, what: str = "the configuration inside") -> None:
    """Give ``model``, built from ``what``, exactly these tensors, and their width. Raises SsmqError if one differs."""
    expected = model.state_dict()
    for name in sorted(expected.keys() | tensors.keys()):
        found, wanted = tensors.get(name), expected.get(name)
        if found is None or wanted is None or found.shape != wanted.shape:
            has, needs = ("none" if t is None else f"the shape {tuple(t.shape)}" for t in (found, wanted))
            raise SsmqError(f"{path}: the tensors do not fit {what}: of {name} the file has {has}, where {needs} is wanted")
    if torch.float64 in {tensor.dtype for tensor in tensors.values()}:
        model.double()
    model.load_state_dict(tensors)
