"""Random schemes and shapes, from training to every engine: what is accepted agrees in every code.

The dozen of the default run goes through every engine of this project, and one more through hls4ml and FINN too. The rest
of the sixty, with both, takes about half an hour: ``pytest -m slow tests/acceptance/test_schemes.py``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from ssmq_brevitas.config import Config, Training, parse_config
from ssmq_brevitas.data import SequenceData
from ssmq_brevitas.model import Model
from ssmq_brevitas.parameterisations import PARAMETERISATIONS
from ssmq_brevitas.post_training import post_training
from ssmq_brevitas.train import train
from ssmq_export import finn, hls4ml
from ssmq_export.checks import check_model
from ssmq_export.exporting import export_graphs
from ssmq_export.from_network import network_engines, step_graph, trace
from ssmq_export.hls4ml import project
from ssmq_export.verification.agreement import Agreement, Engine, compare_engines
from ssmq_export.verification.graphs import graph_engines

pytestmark = pytest.mark.usefixtures("forked_workers")
SEQUENCES = 6
DOZEN = (3, 16, 22, 25, 29, 34, 43, 49, 51, 52, 54, 57)
FOREIGN = (17,)
WIDTHS = ("a", "b", "c", "d", "x", "u", "y", "activation", "linear", "encoder", "decoder", "pool", "bias", "norm")


def drawn(number: int) -> Config:
    """The scheme and shape of this number; every width from 2 to 16, half of the schemes narrow."""
    rng = np.random.default_rng(number)

    def one_of(*values):
        return values[rng.integers(len(values))]

    most = one_of(6, 9, 12, 16)
    bits = {name: int(rng.integers(2, most + 1)) for name in WIDTHS}
    bits |= {
        "input": int(rng.integers(1, 9)),
        "a_magnitude": int(rng.integers(1, most + 1)),
        "a_phase": int(rng.integers(2, most + 1)),
    }
    sizes = {"heads": 5, "modes": 4, "layers": 4, "channels": 3, "length": 24}
    model = {name: int(rng.integers(1, most + 1)) for name, most in sizes.items()}
    model |= {
        "classes": int(rng.integers(2, 5)),
        "norm": one_of("none", "batch"),
        "activation": one_of("relu", "gelu", "hard_gelu"),
        "gate": one_of("none", "sigmoid", "hard_sigmoid"),
    }
    scheme = {
        "parameterisation": one_of("discrete", "continuous", "frozen", "polar", "log_polar"),
        "granularity": one_of("tensor", "head"),
        "equalise": one_of(True, False),
        "range": one_of("mse", "percentile"),
        "bits": bits,
    }
    return parse_config({"name": f"scheme-{number}", "model": model, "scheme": scheme}, origin=f"scheme {number}")


def noise(config: Config, seed: int) -> SequenceData:
    """Noise with a black and a white sequence in every split, so that states saturate and rest."""
    rng = np.random.default_rng(seed)
    splits = {}
    for split in ("train", "validation", "test"):
        codes = rng.integers(0, 256, (16, config.model.length, config.model.channels), dtype=np.uint8)
        codes[0], codes[1] = 0, 255
        splits[f"x_{split}"] = torch.from_numpy(codes)
        splits[f"y_{split}"] = torch.from_numpy(rng.integers(0, config.model.classes, 16))
    return SequenceData("noise", "drawn", **splits)


def trained(config: Config, data: SequenceData, seed: int) -> Model:
    """A float model trained for an epoch, quantised, and trained again at a rate that moves every parameter."""
    torch.manual_seed(seed)
    model = Model.floating(config)
    train(model, data, Training(batch=8), seed=seed)
    model = post_training(model.eval(), config, data.x_train)
    train(model, data, Training(batch=8, learning_rate=3e-2), seed=seed)
    return model.eval()


def compared(number: int, folder: Path, foreign: bool) -> list[Agreement]:
    """The agreement table of a scheme, with the ``foreign`` engines or without; all graphs are legal."""
    config = drawn(number)
    data = noise(config, number)
    model = trained(config, data, number)
    codes = data.x_test[:SEQUENCES].numpy()
    exported = export_graphs(step_graph(model.network), trace(model.network, codes, "reference"), codes, folder)
    step, dataflow, whole = (onnx.load(exported.paths[form]) for form in ("step", "dataflow", "sequence-dataflow"))
    assert [f for graph in (dataflow, whole) for f in check_model(graph) if f.severity == "error"] == []
    eager, fused = network_engines(model.network)
    rows = compare_engines(eager, [fused, *graph_engines(step, dataflow, whole)], codes, SEQUENCES)
    if foreign:
        others = [
            Engine("hls4ml", lambda codes, names: hls4ml.run_hls4ml(step, codes, names)),
            Engine("FINN", lambda codes, names: finn.run_hardware_ops(dataflow, codes)),
        ]
        rows += compare_engines(eager, others, codes[1:3], 2)[1:]  # white and noise: FINN takes a second a sequence and more
    return rows


@pytest.mark.parametrize("number", DOZEN)
def test_every_engine_of_this_project_agrees(number, tmp_path):
    assert_all_agree(compared(number, tmp_path, foreign=False), 7)


@pytest.mark.skipif(not finn.available(), reason=finn.INSTALL)
@pytest.mark.skipif(not hls4ml.available(), reason=f"g++ and {project.INSTALL}")
@pytest.mark.parametrize("number", [n if n in FOREIGN else pytest.param(n, marks=pytest.mark.slow) for n in range(60)])
def test_hls4ml_and_finn_agree_too(number, tmp_path):
    assert_all_agree(compared(number, tmp_path, foreign=True), 9)


def assert_all_agree(rows: list[Agreement], engines: int) -> None:
    assert len(rows) == engines
    for row in rows:
        assert row.agrees, (row.engine, row.failed or row.first)
        assert row.codes > 0


def test_the_sixty_cover_every_choice_and_shape():
    """So that what agrees says something."""
    drawings = [drawn(number) for number in range(60)]
    for name, wanted in {
        "heads": {1, 2, 3, 4, 5}, "modes": {1, 2, 3, 4}, "layers": {1, 2, 3, 4}, "channels": {1, 2, 3}, "classes": {2, 3, 4},
        "norm": {"none", "batch"}, "activation": {"relu", "gelu", "hard_gelu"}, "gate": {"none", "sigmoid", "hard_sigmoid"},
    }.items():  # fmt: skip
        assert {getattr(config.model, name) for config in drawings} == wanted
    assert {config.model.length for config in drawings} > {1, 24}
    assert {config.scheme.parameterisation for config in drawings} == set(PARAMETERISATIONS)
    for width in WIDTHS:
        widths = [getattr(config.scheme.bits, width) for config in drawings]
        assert (min(widths), max(widths) > 13) == (2, True), width
