"""Random schemes and shapes, from training to every engine: what is accepted agrees in every code.

The dozen of the default run goes through every engine of this project, three of them through hls4ml and FINN too. All
sixty, with both: ``pytest -m slow tests/acceptance/test_schemes.py``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
import pytest
import torch
from ssmq_brevitas.config import Config, Training, parse_config
from ssmq_brevitas.data import SequenceData
from ssmq_brevitas.model import Classifier
from ssmq_brevitas.quantize import post_training
from ssmq_brevitas.train import train
from ssmq_export import finn, hls4ml
from ssmq_export.agreement import Agreement, Engine, graph_engines, verify
from ssmq_export.export import export_graphs
from ssmq_export.from_model import describe, model_engines, trace

SEQUENCES = 6
WIDTHS = ("a", "b", "c", "d", "x", "u", "y", "activation", "linear", "encoder", "decoder", "pool", "bias", "norm")


def drawn(number: int) -> Config:
    """The scheme and shape of this number; every width from 2 to 16, half of the schemes narrow."""
    rng = np.random.default_rng(number)

    def one_of(*values):
        return values[rng.integers(len(values))]

    most = one_of(6, 9, 12, 16)
    bits = {name: int(rng.integers(2, most + 1)) for name in WIDTHS}
    bits |= {"input": int(rng.integers(1, 9)), "a_magnitude": int(rng.integers(1, most + 1)), "a_phase": int(rng.integers(2, most + 1))}
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


def float_model(config: Config, data: SequenceData, seed: int) -> Classifier:
    torch.manual_seed(seed)
    floating = Classifier(config.model)
    train(floating, data, Training(batch=8), seed=seed)
    return floating.eval()
