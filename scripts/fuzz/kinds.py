"""Every kind of file that is read: where its seeds lie, how they are damaged, who reads them, what must hold then.

A reader may refuse with SsmqError or ExportError. What it accepts must make sense: graphs compute the same codes on two
engines, models give finite logits, numbers are finite.
"""

from __future__ import annotations

import json
import math
import random
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from mutate import damaged_graph, damaged_json, damaged_npz, damaged_safetensors, damaged_toml
from seeds import LENGTH, row_result, training
from ssmq_brevitas.checkpoint import load_checkpoint
from ssmq_brevitas.config import load_config, to_toml
from ssmq_brevitas.data import load_data
from ssmq_export.checks import check_file
from ssmq_export.checks.finding import to_json
from ssmq_export.checks.sarif import to_sarif
from ssmq_export.dataflow.keys import DATAFLOW
from ssmq_export.door.graph_file import load_graph
from ssmq_export.estimates import estimate_graph, find_part
from ssmq_export.hls4ml.graph import hls_graph
from ssmq_export.integer import IntegerModel
from ssmq_export.lowering import collapse, lower
from ssmq_export.verification.agreement import compare, compare_engines
from ssmq_export.verification.engines import run_steps
from ssmq_export.verification.graphs import graph_engines
from ssmq_study.cards import load_card
from ssmq_study.report.kinds import load_results
from ssmq_study.row_files import Settings, finished
from ssmq_study.rows import Row

PART = "xc7z020clg400-1"
# qonnx takes a millisecond a node and step.
STEPS = 2


class Nonsense(AssertionError):
    """A reader accepted what makes no sense."""


@dataclass(frozen=True)
class Kind:
    """``seeds`` is a pattern below the folder of seeds; ``read`` takes a damaged file and the folder of seeds."""

    seeds: str
    damage: Callable[[random.Random, bytes], bytes]
    read: Callable[[Path, Path], None]


def _require(condition: bool, what: str) -> None:
    if not condition:
        raise Nonsense(what)


def _finite(value) -> None:
    json.dumps(value, allow_nan=False)


def _codes(channels: int = 1) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (2, LENGTH, channels), dtype=np.uint8)


def read_check(path: Path, seeds: Path) -> None:
    findings = check_file(path)
    _finite(to_json(findings))
    _finite(to_sarif(findings, path))


def read_lower(path: Path, seeds: Path) -> None:
    graph = load_graph(path, "step")
    dataflow = lower(graph)
    model = IntegerModel(dataflow)
    codes = _codes(model.graph.ports.input.channels)[:, :STEPS]
    found = compare("lowered", run_steps(graph, codes, []), model.trace(codes, []))
    _require(found.codes > 0 and not found.differing, f"lowered wrongly: {found.differing} of {found.codes} codes")
    collapse(dataflow)


def read_integer(path: Path, seeds: Path) -> None:
    model = IntegerModel(path)
    codes = _codes(model.graph.ports.input.channels)
    expected = run_steps(load_graph(path, "dataflow"), codes, [])
    found = compare("integer model", expected, model.trace(codes, []))
    _require(found.codes > 0 and not found.differing, f"computed wrongly: {found.differing} of {found.codes} codes")


def read_estimate(path: Path, seeds: Path) -> None:
    found = estimate_graph(load_graph(path, *DATAFLOW), find_part(PART)).as_dict()
    _finite(found)
    _require(found["bytes"]["state"] > 0, "an estimate without states")


def read_verify(path: Path, seeds: Path) -> None:
    """One graph of three is damaged; the tables must come out."""
    name = path.name.partition("-")[0]
    forms = ("step", "dataflow", "sequence-dataflow")
    damaged = path.stem.partition("-")[2]
    graphs = [load_graph(path if form == damaged else seeds / "graph" / f"{name}-{form}.onnx", form) for form in forms]
    first, *others = graph_engines(*graphs)
    rows = compare_engines(first, others, _codes(), 1)
    _finite([row.as_dict() for row in rows])


def read_hls4ml(path: Path, seeds: Path) -> None:
    hls_graph(load_graph(path, "step"))


def read_checkpoint(path: Path, seeds: Path) -> None:
    model, _ = load_checkpoint(path)
    config = model.config
    codes = torch.from_numpy(_codes(config.model.channels))[..., : config.model.channels]
    codes = codes[..., 0] if config.model.channels == 1 else codes
    with torch.no_grad():
        logits = model(codes)
        _require(bool(torch.isfinite(logits).all()), "logits that are not finite")
        if model.quantized:
            model.use_engine("reference")
            _require(bool((model(codes) == logits).all()), "the fused recurrence differs from eager Brevitas")


def read_state(path: Path, seeds: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        state = Path(scratch) / path.name
        shutil.copy(path, state)
        training(seeds, path.stem.partition(".")[0], state)


def read_toml(path: Path, seeds: Path) -> None:
    config = load_config(path)
    copy = path.with_name("again.toml")
    copy.write_text(to_toml(config))
    try:
        _require(load_config(copy) == config, "a configuration that is not read as it is written")
    finally:
        copy.unlink()


def read_npz(path: Path, seeds: Path) -> None:
    data = load_data(None, f"npz:{path}")
    codes, y = data.input_format.format, data.y_train
    _require(codes.low <= int(data.x_train.min()) and int(data.x_train.max()) <= codes.high, "codes that are none")
    _require(data.length >= 1 and len(data.x_train) == len(y), "data of no shape")
    _require(bool(y.isfinite().all()) and (y.is_floating_point() or int(y.max()) >= 0), "labels that are none")


def read_results(path: Path, seeds: Path) -> None:
    for result in load_results(path.parent):
        text = result.title + result.text()
        _require("<script" not in text and "\x1b" not in text, "markup of a result in the page")


def read_row(path: Path, seeds: Path) -> None:
    row = Row.model_validate(row_result()["row"])
    folder = path.parent / row.id
    folder.mkdir()
    shutil.copy(path, folder / "result.json")
    found = finished(path.parent, row, Settings())
    _finite(found)
    _require(found is not None and 0 <= found["accuracy"] <= 1, "an accuracy that is none")


def read_card(path: Path, seeds: Path) -> None:
    card = load_card(path.with_suffix(".safetensors"))
    _require(all(0 <= m.correct <= m.images and m.images for m in card.measured), "more correct than there are")
    _require(all(math.isfinite(v) and v >= 0 for v in card.bytes.values()), "bytes that are none")


KINDS = {
    "check": Kind("graph/*.onnx", damaged_graph, read_check),
    "lower": Kind("graph/*-step.onnx", damaged_graph, read_lower),
    "integer": Kind("graph/[ep][da][gp]*e*-dataflow.onnx", damaged_graph, read_integer),
    "estimate": Kind("graph/*-dataflow.onnx", damaged_graph, read_estimate),
    "verify": Kind("graph/*.onnx", damaged_graph, read_verify),
    "hls4ml": Kind("graph/*-step.onnx", damaged_graph, read_hls4ml),
    "checkpoint": Kind("checkpoint/*.safetensors", damaged_safetensors, read_checkpoint),
    "state": Kind("state/*.safetensors", damaged_safetensors, read_state),
    "toml": Kind("toml/*.toml", damaged_toml, read_toml),
    "npz": Kind("npz/*.npz", damaged_npz, read_npz),
    "results": Kind("results/*.json", damaged_json, read_results),
    "row": Kind("row/*.json", damaged_json, read_row),
    "card": Kind("card/*.json", damaged_json, read_card),
}
