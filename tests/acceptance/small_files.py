"""Files of small models, for command lines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from conftest import LENGTH, small_config, small_model
from ssmq_brevitas.checkpoint import save_checkpoint
from ssmq_export.from_network import step_graph
from ssmq_export.lowering import lower


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
