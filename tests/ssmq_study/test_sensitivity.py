"""Sensitivity: one tensor narrow, the others wide; what the grid of Ā does."""

from __future__ import annotations

import importlib.resources
import json

import pytest
import torch
from conftest import small_codes, small_config, small_model
from ssmq_brevitas.checkpoint import load_checkpoint
from ssmq_brevitas.data import SequenceData, load_data
from ssmq_study.plots import heat_map
from ssmq_study.sensitivity import Bench, explanation, sensitivity, sensitivity_tables, tensors


def test_every_tensor_of_the_model_is_tried_and_wide_ones_lose_nothing(tmp_path):
    config = small_config(scheme={"parameterisation": "log_polar"}, model={"activation": "relu", "layers": 1})
    floating, _ = small_model(config)
    parts = [tensor for seed in range(3) for tensor in (small_codes(40, seed), torch.arange(40) % 3)]
    bench = Bench(floating, SequenceData("noise", "made here", *parts), 40)
    found = json.loads(json.dumps(sensitivity(bench, config, [2, 9, 16])))
    tried = {row["tensor"]: row for row in found["tensors"]}
    assert set(tried) == set(tensors(config)) and "a_phase" in tried and "y" not in tried
    assert list(tried["input"]["accuracy"]) == ["2"], "pixels have at most 8 bits"
    for name, row in tried.items():
        assert "16" not in row["error"] or row["error"]["16"] == pytest.approx(found["reference_error"], abs=1e-3), name
    assert all(row["error"]["2"] > 3 * found["reference_error"] for name, row in tried.items() if name != "a_magnitude")
    heat_map(found, tmp_path / "map.png")
    assert (tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")
    assert len(sensitivity_tables(found)[0].rows) == len(tried)


def test_a_and_x_come_first_and_the_eigenvalues_say_why():
    checkpoint = importlib.resources.files("ssmq_brevitas.assets").joinpath("edge-2x16.safetensors")
    floating, config, _ = load_checkpoint(str(checkpoint))
    found = sensitivity(Bench(floating, load_data(), 100), config, [8])
    assert {row["tensor"] for row in found["tensors"][:2]} == {"a", "x"}
    assert found["tensors"][1]["loss"] > 0.5 > 0.05 > found["tensors"][2]["loss"]
    for layer, block in zip(found["layers"], floating.blocks, strict=True):
        a = block.ssm.discrete()[0].detach().to(torch.complex128)
        assert layer["memory"] == pytest.approx(float((1 / (1 - a.abs())).max()), rel=0.01)
        # Nearest points of a grid of step 2**-7.
        assert layer["grid"]["8"]["shift"] <= 2**-8 * 2**0.5 * 1.01 + 2**-7
        assert layer["grid"]["8"]["times_distance"] > 10
    assert f"{max(layer['memory'] for layer in found['layers']):,.0f} steps" in explanation(found)
