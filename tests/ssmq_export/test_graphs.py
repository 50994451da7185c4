"""Exported graphs compute the model's codes, all of them, on every engine."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest
from conftest import LENGTH, small_codes, small_config, small_model
from ssmq_brevitas.config import load_config
from ssmq_export.checks import check_model
from ssmq_export.errors import ExportError
from ssmq_export.exporting import FILES, export_graphs
from ssmq_export.from_network import network_engines, network_spec, step_graph, trace
from ssmq_export.graphs.network_graph import network_graph
from ssmq_export.graphs.sequence_graph import sequence_graph
from ssmq_export.lowering import collapse, lower
from ssmq_export.verification.agreement import TRACED, Engine, compare, compare_engines
from ssmq_export.verification.engines import run_sequence, run_steps
from ssmq_export.verification.graphs import graph_engines

PAPER = {"norm": "none", "activation": "hard_gelu", "gate": "hard_sigmoid"}
EDGE = {"norm": "batch", "activation": "relu", "gate": "hard_sigmoid"}
MIXED = {"a": 8, "b": 4, "c": 4, "d": 4, "x": 6, "u": 6, "y": 6, "activation": 6, "linear": 4, "encoder": 4, "decoder": 4}
CASES = {
    "paper": ({"model": PAPER}),
    "paper-mixed-widths": {"model": PAPER, "bits": MIXED},
    "paper-soft": {"model": {**PAPER, "activation": "gelu", "gate": "sigmoid"}},
    "paper-wide": {"model": PAPER, "bits": {"a": 16, "x": 12}},
    "paper-per-head-polar": {"model": PAPER, "scheme": {"granularity": "head", "parameterisation": "log_polar"}},
    "edge": {"model": EDGE},
    "edge-mixed-widths": {"model": EDGE, "bits": MIXED},
    "edge-plain-head": {"model": {**EDGE, "gate": "none"}, "scheme": {"granularity": "head", "equalise": False}},
    "edge-coarse-input": {"model": EDGE, "bits": {"input": 3, "x": 4}},
    "paper-3-channels": {"model": {**PAPER, "channels": 3}},
    "edge-3-channels-coarse-input": {"model": {**EDGE, "channels": 3}, "bits": {"input": 3, "encoder": 4}},
}


@pytest.mark.parametrize("case", CASES)
def test_every_engine_gives_every_code(case):
    _, model = small_model(small_config(**CASES[case]))
    codes = small_codes(6, 9, model.shape.channels).numpy()
    step = step_graph(model.network)
    dataflow = lower(step)
    assert {t.name for t in step.graph.input} == {t.name for t in dataflow.graph.input}
    eager, fused = network_engines(model.network)
    rows = compare_engines(eager, [fused, *graph_engines(step, dataflow, collapse(dataflow))], codes, slow_sequences=6)
    assert len(rows) == 7
    for found in rows:
        assert (found.differing, found.first, found.sequences) == (0, "", 6), found.engine
        states = 2 * 2 * LENGTH * 12  # inside the operator where there is a DiagonalScan
        assert found.codes > 6 * (states if "Scan)" not in found.engine else LENGTH * 4 * 4)
    moved = trace(model.network, codes, "reference")["blocks.1.ssm.x_re_next"]
    assert len(np.unique(moved)) > 8  # states that stay at 0 would agree too


@pytest.mark.parametrize("case", CASES)
def test_graphs_are_valid_and_the_dataflow_graph_is_legal(case):
    _, model = small_model(small_config(**CASES[case]))
    step = step_graph(model.network)
    dataflow, sequence = lower(step), sequence_graph(step)
    for graph in (step, sequence, dataflow, collapse(dataflow)):
        onnx.checker.check_model(graph, full_check=True)
    errors = {f.rule for f in check_model(dataflow) if f.severity == "error"}
    # Thresholds make integers of everything; only the float64 container of wide sums is not FINN's.
    assert errors == set()
    assert {f.rule for f in check_model(step) if f.severity == "error"} == {"not-lowered"}
    assert "recurrence" in {f.rule for f in check_model(sequence)}
    assert {node.op_type for node in dataflow.graph.node} <= {"MatMul", "Mul", "Add", "Sub", "MultiThreshold"}


def test_one_wrong_code_is_found_and_named():
    _, model = small_model(small_config(model=EDGE))
    codes = small_codes(3).numpy()
    reference = trace(model.network, codes, "fused")
    other = {name: value.copy() for name, value in reference.items()}
    other["blocks.1.ssm.x_im_next"][2, 7, 3] += 1
    found = compare("altered", reference, other)
    assert (found.differing, found.first) == (1, "blocks.1.ssm.x_im_next, sequence 2, step 7")


def test_export_writes_all_or_nothing(tmp_path):
    _, model = small_model(small_config(model=PAPER))
    codes = small_codes(3).numpy()
    step, reference = step_graph(model.network), trace(model.network, codes, "fused")
    wrong = {name: value.copy() for name, value in reference.items()}
    wrong["blocks.0.add_quant"][1, 4, 0] += 1
    folder = tmp_path / "graphs"
    with pytest.raises(
        ExportError, match=r"step graph differs from the model in 1 of .* first in blocks\.0\.add_quant, sequence 1, step 4"
    ):
        export_graphs(step, wrong, codes, folder)
    assert list(folder.iterdir()) == []
    exported = export_graphs(step, reference, codes, folder)
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES.values())
    assert all(agreement.codes > 0 and agreement.differing == 0 for agreement in exported.agreements)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_written_sequence_graph_runs_alone(channels, tmp_path):
    """Plain ONNX Runtime, any batch size, no custom operator."""
    _, model = small_model(small_config(model={**EDGE, "channels": channels}))
    codes = small_codes(5, channels=channels).numpy()
    path = tmp_path / "sequence.onnx"
    onnx.save(sequence_graph(step_graph(model.network)), path)
    for batch in (1, 5):
        logits = run_sequence(onnx.load(path), codes[:batch])["decoder"]
        assert np.array_equal(logits, trace(model.network, codes[:batch], "fused")["decoder"])


def test_graph_size_does_not_depend_on_the_length():
    sizes = []
    for length in (20, 2000):
        _, model = small_model(small_config(model={**EDGE, "length": 20}))
        spec = replace(network_spec(model.network), length=length)
        sizes.append(len(sequence_graph(network_graph(spec)).graph.node))
    assert sizes[0] == sizes[1]


def test_no_weight_quantizer_is_shared():
    _, model = small_model(small_config(model=PAPER))
    graph = step_graph(model.network).graph
    fixed = {tensor.name for tensor in graph.initializer}
    weights = [n.output[0] for n in graph.node if n.op_type == "Quant" and n.input[0] in fixed]
    assert len(weights) > 20
    for name in weights:
        assert sum(name in node.input for node in graph.node) == 1, name


def test_a_float_model_is_not_exported():
    floating, _ = small_model(small_config())
    with pytest.raises(ExportError, match="is not quantised: give it to ssmq_brevitas.quantize first"):
        step_graph(floating.network)


@pytest.mark.parametrize("preset", ["paper-h16", "edge-4x16"])
def test_presets_have_stable_port_names(preset):
    config = load_config(preset)
    layers = range(config.model.layers)
    import torch
    from ssmq_brevitas.model import Model
    from ssmq_brevitas.post_training import post_training

    torch.manual_seed(0)
    noise = torch.randint(0, 256, (4, 784), dtype=torch.uint8)
    graph = step_graph(post_training(Model.floating(config).eval(), config, noise).network).graph
    expected = ["u", *(f"blocks.{k}.ssm.x_{part}" for k in layers for part in ("re", "im")), "sum.kept"]
    assert [port.name for port in graph.input] == expected
    following = ["decoder", *(f"blocks.{k}.ssm.x_{part}_next" for k in layers for part in ("re", "im")), "sum"]
    assert [port.name for port in graph.output] == following


def test_verify_finds_the_one_code_that_differs():
    """Whatever part of a long run it is in; slow engines get fewer sequences, and the same ones."""
    codes = np.zeros((TRACED + 40, 5), np.uint8)
    codes[TRACED + 7, 3] = 1
    seen: dict[str, int] = {}

    def traced(name: str, wrong: float):
        def run(some, tensors):
            assert name == "reference" or tensors == ["x"]
            seen[name] = seen.get(name, 0) + len(some)
            x = np.repeat(some[..., None].astype(float), 2, axis=2) * wrong
            return {"x": x, "decoder": np.zeros((len(some), 3))}

        return run

    others = [
        Engine("right", traced("right", 1)),
        Engine("wrong", traced("wrong", 2)),
        Engine("slow", traced("slow", 2), slow=True),
    ]
    rows = {row.engine: row for row in compare_engines(Engine("reference", traced("reference", 1)), others, codes, 30)}
    whole = len(codes) * (5 * 2 + 3)
    assert seen == {"reference": len(codes), "right": len(codes), "wrong": len(codes), "slow": 30}
    assert (rows["right"].codes, rows["right"].differing) == (whole, 0)
    assert (rows["wrong"].codes, rows["wrong"].differing) == (whole, 2)
    assert rows["wrong"].first == f"x, sequence {TRACED + 7}, step 3"
    assert (rows["slow"].sequences, rows["slow"].codes, rows["slow"].differing) == (30, 30 * 13, 0)


def test_an_engine_that_fails_is_a_row_and_the_others_are_compared():
    """Whenever it fails, once: what it is given no more cannot agree."""
    codes = np.zeros((TRACED + 1, 5), np.uint8)
    calls = []

    def run(some, tensors):
        return {"x": some[..., None].astype(float), "decoder": np.zeros((len(some), 3))}

    def failing(some, tensors):
        calls.append(len(some))
        if len(some) == TRACED:
            return run(some, tensors)
        raise RuntimeError("no room\n  left")

    misshapen = Engine("misshapen", lambda some, tensors: {"x": np.zeros((len(some), 5, 7)), "decoder": np.zeros((1, 2))})
    others = [Engine("failing", failing), misshapen, Engine("right", run)]
    reference, failed, wrong, right = compare_engines(Engine("reference", run), others, np.concatenate([codes, codes]), 0)
    assert (failed.failed, failed.codes, failed.sequences, failed.agrees) == ("no room left", 0, 0, False)
    assert calls == [TRACED, TRACED, 2] and "broadcast" in wrong.failed and not wrong.agrees
    assert (right.codes, right.sequences) == (reference.codes, 2 * len(codes)) and right.agrees
    with pytest.raises(RuntimeError):  # without a reference there is no table
        compare_engines(Engine("reference", failing), others, codes[:3], 0)


def test_an_integer_model_that_refuses_the_graph_is_a_row_too():
    _, model = small_model(small_config(model=EDGE))
    step = step_graph(model.network)
    dataflow = lower(step)
    whole = collapse(dataflow)
    note = next(note for note in dataflow.graph.quantization_annotation if note.tensor_name == "u")
    note.quant_parameter_tensor_names[0].value = "UINT7"
    eager, _ = network_engines(model.network)
    rows = {row.engine: row for row in compare_engines(eager, graph_engines(step, dataflow, whole), small_codes(3).numpy(), 1)}
    assert "UINT7" in rows["integer model"].failed
    assert [name for name, row in rows.items() if not row.agrees] == ["integer model"]


def test_a_tensor_that_another_tool_has_renamed_is_named():
    step = step_graph(small_model(small_config(model={"layers": 1}))[1].network)
    for node in step.graph.node:
        for names in (node.input, node.output):
            names[:] = ["moved" if name == "blocks.0.ssm.y" else name for name in names]
    with pytest.raises(
        ExportError, match=r"^blocks\.0\.ssm\.y: not in the graph under this name: .* as `ssmq export` wrote it$"
    ):
        run_steps(step, small_codes(2).numpy(), ["blocks.0.ssm.y", "blocks.0.ssm.x_re_next"])
