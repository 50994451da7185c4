"""Valid files of every kind, small, that the damage starts from."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import torch
from ssmq_brevitas.checkpoint import save_checkpoint
from ssmq_brevitas.config import Config, parse_config, to_toml
from ssmq_brevitas.data import load_data
from ssmq_brevitas.errors import Interrupted
from ssmq_brevitas.model import Model
from ssmq_brevitas.post_training import post_training
from ssmq_brevitas.train import train
from ssmq_brevitas.zoo import zoo_models
from ssmq_export.from_network import step_graph
from ssmq_export.lowering import collapse, lower
from ssmq_study.row_files import Settings
from ssmq_study.rows import Row

ROOT = Path(__file__).parents[2]
LENGTH = 6
MODELS = {
    "edge": {"norm": "batch", "activation": "relu", "gate": "hard_sigmoid"},
    "paper": {"norm": "none", "activation": "hard_gelu", "gate": "none"},
}


def configuration(name: str) -> Config:
    model = {"heads": 3, "modes": 2, "layers": 2, "classes": 3, "length": LENGTH, **MODELS[name]}
    return parse_config({"name": name, "model": model}, origin=name)


def write_seeds(folder: Path) -> None:
    """Fill ``folder`` with one folder of files a kind."""
    for kind in ("graph", "checkpoint", "state", "toml", "npz", "results", "row", "card"):
        (folder / kind).mkdir(parents=True)
    _write_npz(folder / "npz" / "own.npz")
    _write_npz(folder / "npz" / "sensor.npz", np.float32)
    sensor = {
        "task": {"kind": "regression", "every_step": True},
        "model": {"input": {"bits": 12, "signed": True, "exponent": -9}},
    }
    (folder / "toml" / "sensor.toml").write_text(to_toml(parse_config(sensor, origin="sensor")))
    for name in MODELS:
        config = configuration(name)
        torch.manual_seed(0)
        floating = Model.floating(config).eval()
        codes = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (16, LENGTH), dtype=np.uint8))
        quantized = post_training(floating, config, codes)
        (folder / "toml" / f"{name}.toml").write_text(to_toml(config))
        for kind, model in (("float", floating), ("quantised", quantized)):
            save_checkpoint(folder / "checkpoint" / f"{name}-{kind}.safetensors", model, {"seed": 0})
        step = step_graph(quantized.network)
        dataflow = lower(step)
        for form, graph in (("step", step), ("dataflow", dataflow), ("sequence-dataflow", collapse(dataflow))):
            onnx.save(graph, folder / "graph" / f"{name}-{form}.onnx")
        _write_state(folder, config, name)
    for path in (ROOT / "results").glob("*.json"):
        if path.stat().st_size < 100_000:
            shutil.copy(path, folder / "results" / path.name)
    (folder / "row" / "result.json").write_text(json.dumps(row_result()))
    for name, path in zoo_models().items():
        shutil.copy(path.with_suffix(".json"), folder / "card" / f"{name}.json")


def row_result() -> dict:
    """What a worker leaves of one row."""
    row = Row(name="float", kind="float", seed=0, config=configuration("edge"))
    return {
        "id": row.id, "name": row.name, "seed": 0, "engine": "float", "accuracy": 0.9, "validation": 0.8, "images": 10,
        "data": {"name": "MNIST subset", "source": "embedded", "train": 1, "validation": 1, "test": 10}, "bytes": None,
        "epochs": [], "seconds": 1.0, "row": row.model_dump(mode="json"), "settings": Settings().model_dump(mode="json"),
    }  # fmt: skip


def _write_npz(path: Path, kind: type = np.uint8) -> None:
    """Codes and classes; or, if ``kind`` is one of floats, those and a number for every step."""
    rng = np.random.default_rng(0)
    arrays = {}
    for suffix in ("", "_validation", "_test"):
        arrays[f"x{suffix}"] = rng.integers(0, 256, (12, LENGTH, 1)).astype(kind)
        arrays[f"y{suffix}"] = np.arange(12) % 3 if kind is np.uint8 else rng.normal(size=(12, LENGTH))
    np.savez_compressed(path, **arrays)


def training(folder: Path, name: str, state: Path, on_step=lambda progress: None) -> None:
    """A short training of the seeds' model, going on from ``state`` if that is there."""
    config = configuration(name)
    torch.manual_seed(0)
    data = load_data(None, f"npz:{folder / 'npz' / 'own.npz'}")
    settings = config.train.floating.model_copy(update={"epochs": 1, "batch": 4})
    train(Model.floating(config), data, settings, seed=0, state_path=state, on_step=on_step)


def _write_state(folder: Path, config: Config, name: str) -> None:
    def stop(progress) -> None:
        if progress.step == 1:
            raise KeyboardInterrupt

    try:
        training(folder, name, folder / "state" / f"{name}.safetensors", stop)
    except (Interrupted, KeyboardInterrupt):
        pass
