"""Sensitivity: one tensor narrow, the others wide; what the grid of Ā does."""

from __future__ import annotations

import json

import pytest
import torch
from conftest import LENGTH, part, small_codes, small_config, small_model, ssms
from ssmq_brevitas.checkpoint import load_checkpoint
from ssmq_brevitas.config import parse_config, with_input
from ssmq_brevitas.data import SequenceData, load_data
from ssmq_brevitas.errors import SsmqError
from ssmq_brevitas.input_format import InputFormat
from ssmq_brevitas.model import Model
from ssmq_brevitas.task import Task
from ssmq_brevitas.zoo import locate
from ssmq_study.knobs import roles, single_tensors, with_bits
from ssmq_study.plots import heat_map
from ssmq_study.sensitivity import Bench, explanation, sensitivity, sensitivity_tables


def test_every_tensor_of_the_model_is_tried_and_wide_ones_lose_nothing(tmp_path):
    config = small_config(scheme={"parameterisation": "log_polar"}, model={"activation": "relu", "layers": 1})
    floating, _ = small_model(config)
    parts = [tensor for seed in range(3) for tensor in (small_codes(40, seed), torch.arange(40) % 3)]
    bench = Bench(floating, SequenceData("noise", "made here", *parts), 40)
    found = json.loads(json.dumps(sensitivity(bench, config, [2, 9, 16], by_tensor=False)))
    tried = {row["tensor"]: row for row in found["tensors"]}
    assert set(tried) == set(roles(config)) and "a_phase" in tried and "y" not in tried
    assert list(tried["input"]["accuracy"]) == ["2"], "pixels have at most 8 bits"
    for name, row in tried.items():
        assert "16" not in row["error"] or row["error"]["16"] == pytest.approx(found["reference_error"], abs=1e-3), name
    assert all(row["error"]["2"] > 3 * found["reference_error"] for name, row in tried.items() if name != "a_magnitude")
    heat_map(found, tmp_path / "map.png")
    assert (tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")
    ranking, eigenvalues = sensitivity_tables(found)
    assert len(ranking.rows) == len(tried) and found["by_tensor"] == []


def test_steps_are_judged_by_those_that_have_a_class_and_regressions_are_refused():
    task = {"kind": "step"}
    config = parse_config({"task": task, "model": {"heads": 4, "modes": 3, "classes": 3, "length": LENGTH}}, origin="test")
    torch.manual_seed(0)
    floating = Model.floating(config)
    x = small_codes(12)
    wanted = floating(x).argmax(-1)
    y = torch.where(torch.arange(LENGTH) % 2 == 0, -1, wanted)
    y[0, 1] = (y[0, 1] + 1) % 3
    bench = Bench(floating, SequenceData("noise", "made here", x, y, x, y, x, y), 12)
    assert bench.float_accuracy == 1 - 1 / 120
    assert "pool" not in roles(config) and "pool" in roles(config.model_copy(update={"task": Task()}))
    numbers = Model.floating(config.model_copy(update={"task": Task(kind="regression")}))
    with pytest.raises(SsmqError, match="widths are ranked by the accuracy that they cost, and a regression has none"):
        Bench(numbers, bench.data, 12)


def test_an_input_of_16_bits_is_tried_at_widths_of_its_own():
    config = with_input(small_config(model={"layers": 1}), InputFormat(bits=12, signed=True, exponent=-4))
    torch.manual_seed(0)
    floating, codes = Model.floating(config), (small_codes(40).short() - 128) * 8
    bench = Bench(floating, SequenceData("noise", "made here", *(3 * [codes, torch.arange(40) % 3])), 40)
    found = sensitivity(bench, config, [3, 11, 14], by_tensor=False)
    (row,) = (row for row in found["tensors"] if row["tensor"] == "input")
    assert list(row["error"]) == ["3", "11"] and row["error"]["3"] > 5 * row["error"]["11"]
    assert found["reference_error"] <= row["error"]["11"], "where all are wide, all 12 bits are kept"


@pytest.fixture(scope="module")
def two_layers():
    config = small_config(model={"activation": "gelu", "gate": "none"})
    floating, _ = small_model(config)
    parts = [tensor for seed in range(3) for tensor in (small_codes(40, seed), torch.arange(40) % 3)]
    bench = Bench(floating, SequenceData("noise", "made here", *parts), 40)
    return bench, config, sensitivity(bench, config, [3, 12])


def test_every_single_tensor_is_tried_alone(two_layers, tmp_path):
    bench, config, found = two_layers
    found = json.loads(json.dumps(found))
    whole = {row["tensor"]: row["error"]["3"] for row in found["tensors"]}
    alone = {row["tensor"]: row["error"]["3"] for row in found["by_tensor"]}
    layer = {"ssm.a", "ssm.c", "ssm.d", "ssm.x", "ssm_quant", "activation_quant", "linear", "linear.bias", "add_quant"}
    outside = {"u_quant", "encoder", "encoder.bias", "encoder_quant", "mul_quant", "decoder", "decoder.bias"}
    assert alone.keys() == outside | {f"blocks.{k}.{name}" for k in range(2) for name in layer}
    # Together the tensors of a role err about as all of them do, each of them less.
    named = {"a": "ssm.a", "x": "ssm.x", "c": "ssm.c", "linear": "linear", "y": "ssm_quant"}
    for role, name in named.items():
        errors = [alone[f"blocks.{k}.{name}"] for k in range(2)]
        assert whole[role] == pytest.approx(sum(error**2 for error in errors) ** 0.5, rel=0.5), role
        assert max(errors) > 3 * found["reference_error"], role
    assert whole["encoder"] == alone["encoder"]
    losses = [row["loss"] for row in found["by_tensor"]]
    assert losses == sorted(losses, reverse=True)
    table = sensitivity_tables(found)[1]
    assert len(table.rows) == len(alone) and ["decoder.bias", "biases"] in [row[1:3] for row in table.rows]
    heat_map(found, tmp_path / "map.png")


def test_a_single_tensor_is_narrow_and_nothing_else(two_layers):
    bench, config, _ = two_layers
    wide = with_bits(config, dict.fromkeys(("u", "c"), 14))
    assert single_tensors(wide)["blocks.1.ssm.c"] == "c"
    narrow = bench.quantized(with_bits(wide, {"blocks.1.ssm.c": 4, "encoder_quant": 5}))
    assert [layer.c_quant.bits for layer in ssms(narrow)] == [14, 4]
    assert [part(narrow, f"{path}_quant").bits for path in ("encoder", "blocks.0.add", "blocks.1.add")] == [5, 14, 14]


def test_a_and_x_come_first_and_the_eigenvalues_say_why():
    floating, _ = load_checkpoint(locate("zoo:edge-2x16"))
    found = sensitivity(Bench(floating, load_data(), 100), floating.config, [8], by_tensor=False)
    assert {row["tensor"] for row in found["tensors"][:2]} == {"a", "x"}
    assert found["tensors"][1]["loss"] > 0.5 > 0.05 > found["tensors"][2]["loss"]
    for told, layer in zip(found["layers"], ssms(floating), strict=True):
        a = layer.discrete()[0].detach().to(torch.complex128)
        assert told["memory"] == pytest.approx(float((1 / (1 - a.abs())).max()), rel=0.01)
        # Nearest points of a grid of step 2**-7.
        assert told["grid"]["8"]["shift"] <= 2**-8 * 2**0.5 * 1.01 + 2**-7
        assert told["grid"]["8"]["times_distance"] > 10
    assert f"{max(layer['memory'] for layer in found['layers']):,.0f} steps" in explanation(found)
