"""The real finn-plus: every node mapped, one partition, and its hardware operators give the model's codes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import onnx
import pytest
from conftest import LENGTH, small_codes, small_config, small_model
from ssmq_export import finn
from ssmq_export.checks import check_file
from ssmq_export.errors import ExportError
from ssmq_export.estimates import estimate_graph, find_part, folded_graph
from ssmq_export.finn import process
from ssmq_export.from_network import step_graph, trace
from ssmq_export.lowering import collapse, lower
from ssmq_export.verification.agreement import compare

pytestmark = [pytest.mark.skipif(not finn.available(), reason=finn.INSTALL), pytest.mark.usefixtures("forked_workers")]

SSMQ = str(Path(sys.executable).parent / "ssmq")
EDGE = {"norm": "batch", "activation": "relu", "gate": "hard_sigmoid"}
CASES = {
    "8-bit, 1 layer": {"model": {**EDGE, "layers": 1}},
    "8-bit, 4 layers": {"model": {**EDGE, "layers": 4}},
    "3 input channels": {"model": {**EDGE, "layers": 1, "channels": 3}},
    "no gate": {"model": {**EDGE, "gate": "none"}},
    "hard GELU, no norm": {"model": {"norm": "none", "activation": "hard_gelu", "gate": "hard_sigmoid"}},
    "mixed 4, 6 and 8 bits": {"model": EDGE, "bits": {"a": 6, "b": 4, "c": 4, "linear": 4, "activation": 6}},
    "4-bit state, an exponent a head": {"model": EDGE, "bits": {"x": 4}, "scheme": {"granularity": "head"}},
    "log-polar, 10-bit state": {  # its thresholds are 2048 apart within 1: FINN takes them for equal steps
        "model": {**EDGE, "layers": 1, "modes": 4},
        "bits": {"x": 10, "a": 12, "a_magnitude": 4, "a_phase": 8},
        "scheme": {"parameterisation": "log_polar"},
    },
    "log-polar, 12-bit state": {
        "model": EDGE,
        "bits": {"x": 12, "a_magnitude": 4, "a_phase": 6, "b": 4, "c": 4},
        "scheme": {"parameterisation": "log_polar"},
    },
}

SLOW = {"4-bit state, an exponent a head", "log-polar, 12-bit state", "8-bit, 4 layers"}


def saved(case: dict, folder: Path):
    """A small model of ``case`` and the path of its dataflow graph."""
    _, model = small_model(small_config(**case))
    graph = lower(step_graph(model.network))
    onnx.save(graph, folder / "dataflow.onnx")
    return model, graph, folder / "dataflow.onnx"


@pytest.mark.parametrize("case", [c if c not in SLOW else pytest.param(c, marks=pytest.mark.slow) for c in CASES])
def test_finn_maps_every_node_and_computes_every_code(case, tmp_path):
    model, graph, path = saved(CASES[case], tmp_path)
    found = finn.compile_graph(path, "xc7z020clg400-1", 100.0, 10.0, tmp_path / "build")
    assert found.unmapped == [] and found.mapped == found.nodes >= len(graph.graph.node)
    assert found.partitions == 1 and found.cycles > 0
    folding = json.loads((tmp_path / "build" / "report" / "auto_folding_config.json").read_text())
    assert len(folding) > len(graph.graph.node) / 2
    states = json.loads((tmp_path / "build" / "loopback.json").read_text())["states"]
    assert [s["input"] for s in states] == [port.name for port in graph.graph.input if port.name != "u"]
    final = onnx.load(tmp_path / "build" / "finn.onnx").graph
    assert {n.domain.rpartition(".")[0] for n in final.node} == {"finn.custom_op.fpgadataflow"}
    assert check_file(tmp_path / "build" / "finn.onnx") == []  # the streams of states are duplicated too

    codes = small_codes(3, 5, model.shape.channels).numpy()[2:]  # the first two are black and white
    # FINN takes a quarter of a second a step and layer; logits are compared where a sequence is whole.
    steps = LENGTH if case in ("8-bit, 1 layer", "3 input channels") else 8
    found = finn.run_hardware_ops(graph, codes[:, :steps])
    agreement = compare("FINN", trace(model.network, codes, "reference"), found)
    assert (agreement.sequences, agreement.differing) == (1, 0)
    assert agreement.codes > steps * 2 * 12


def test_the_sequence_graph_is_one_partition_too(tmp_path):
    model, graph, _ = saved(CASES["mixed 4, 6 and 8 bits"], tmp_path)
    whole = collapse(graph)
    onnx.save(whole, tmp_path / "whole.onnx")
    slow = finn.compile_graph(tmp_path / "whole.onnx", "xc7z020clg400-1", 1000.0, 10.0, tmp_path / "slow")
    assert slow.unmapped == [] and slow.mapped == slow.nodes > 20 and slow.partitions == 1
    fast = finn.compile_graph(tmp_path / "whole.onnx", "xc7z020clg400-1", 500000.0, 10.0, tmp_path / "fast")
    scans = [[f["PE"] for node, f in found.folding.items() if node.startswith("DiagonalScan")] for found in (slow, fast)]
    # 200 cycles a sequence of 20 steps: with 3 modes a cycle a step takes four, and a state is back after ten.
    assert scans == [[1, 1], [3, 3]] and fast.cycles < slow.cycles
    assert (fast.ours["cycles"], slow.ours["cycles"]) == (fast.cycles, slow.cycles) == (200, LENGTH * 4 * 4)
    assert not (tmp_path / "fast" / "loopback.json").exists()

    codes = small_codes(3, seed=5).numpy()
    expected = trace(model.network, codes, "reference")["decoder"]
    assert (finn.run_hardware_ops(whole, codes)["decoder"] == expected).all()


def test_the_command_reports_and_leaves_a_build_folder(tmp_path):
    _, graph, path = saved(CASES["8-bit, 1 layer"], tmp_path)
    command = [SSMQ, "finn", str(path), "--out", str(tmp_path / "build"), "--fps", "50", "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["listed"] and found["near"] == []
    assert {"nodes", "mapped", "unmapped", "partitions", "cycles", "folding"} <= set(found)
    assert found["ours"]["resources"]["lut"] > 0 and any("PE" in value for value in found["folding"].values())
    left = {entry.name for entry in (tmp_path / "build").iterdir()}
    assert {"finn.onnx", "dataflow.onnx", "dataflow_build_config.json", "loopback.json", "README.md", "report"} <= left
    assert not [entry for entry in tmp_path.iterdir() if entry.name.startswith(".")]
    again = subprocess.run(command, capture_output=True, text=True)
    assert again.returncode == 1 and "exists already" in again.stderr and again.stderr.count("\n") == 1


def test_what_finn_would_refuse_is_named_by_our_rule(tmp_path):
    _, graph, path = saved(CASES["8-bit, 1 layer"], tmp_path)
    node = next(n for n in graph.graph.node if n.op_type == "MultiThreshold")
    thresholds = next(c for c in graph.graph.initializer if c.name == node.input[1])
    values = onnx.numpy_helper.to_array(thresholds)[:, ::-1].copy()
    thresholds.CopyFrom(onnx.numpy_helper.from_array(values, thresholds.name))
    onnx.save(graph, path)
    with pytest.raises(ExportError, match="1 legality errors, first threshold-order at MultiThreshold_encoder_quant"):
        finn.compile_graph(path, "xc7z020clg400-1", 100.0, 10.0, tmp_path / "build")
    assert not (tmp_path / "build").exists()


@pytest.mark.parametrize(
    ("part", "told"),
    [
        ("lfe5u-25f", "'lfe5u-25f': FINN compiles for AMD parts, .* such as xc7z020clg400-1$"),
        ("x7z020clg400-1", r"FINN compiles for AMD parts, .*; did you mean xc7z020clg400-1\?$"),
        (
            "pynq-z1",
            "'pynq-z1': FINN compiles for AMD parts, .*; that is a board, its part is xc7z020clg400-1$",
        ),  # finn.util.basic.pynq_part_map
        ("xc7z020; exit", "FINN compiles for AMD parts"),
    ],
)
def test_a_part_that_is_not_finns_is_refused_with_what_may_be_meant(tmp_path, part, told):
    _, _, path = saved(CASES["8-bit, 1 layer"], tmp_path)
    with pytest.raises(ExportError, match=told):
        finn.compile_graph(path, part, 100.0, 10.0, tmp_path / "build")
    assert [entry.name for entry in tmp_path.iterdir()] == ["dataflow.onnx"]


def test_the_command_knows_the_part_of_a_board(tmp_path):
    done = subprocess.run([SSMQ, "finn", "x", "--out", "y", "--part", "ZCU104"], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "--part" in done.stderr and "that is a board, its part is xczu7ev-ffvc1156-2-e" in done.stderr


def test_a_part_that_finn_takes_without_knowing_it_is_taken_and_told(tmp_path):
    _, _, path = saved(CASES["8-bit, 1 layer"], tmp_path)
    done = subprocess.run(
        [SSMQ, "finn", path, "--out", tmp_path / "build", "--part", "xc7z020clg40-1"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    told = " ".join(done.stdout.split())
    assert "no board that FINN knows has xc7z020clg40-1" in told and "similar ones that it knows: xc7z020clg400-1" in told


def test_without_finn_plus_one_message_says_how_to_install_it(tmp_path, monkeypatch):
    _, _, path = saved(CASES["no gate"], tmp_path)
    monkeypatch.setitem(sys.modules, "finn", None)
    with pytest.raises(
        ExportError, match=r"^finn-plus is not installed: pip install 'ssmq-brevitas\[finn\]' && pip install --no-deps"
    ):
        finn.compile_graph(path, "xc7z020clg400-1", 100.0, 10.0, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_finns_own_failure_is_one_message(tmp_path):
    (tmp_path / "dataflow.onnx").write_bytes(b"not a graph")
    (tmp_path / "settings.json").write_text('{"part": "xc7z020clg400-1", "clock_ns": 10.0, "inferences_per_second": 1}')
    arguments = ["compile", *(str(tmp_path / name) for name in ("dataflow.onnx", "out", "settings.json"))]
    with pytest.raises(ExportError, match="^FINN stopped: .*Error") as stopped:
        process.work(arguments, tmp_path)
    assert "\n" not in str(stopped.value) and "Traceback" not in str(stopped.value)


def test_finn_folds_as_the_graph_says_and_computes_every_code(tmp_path):
    # With four heads one lane is as fast as a state is back.
    _, graph, path = saved({"model": {**EDGE, "layers": 1, "heads": 8}}, tmp_path)
    estimate = estimate_graph(graph, find_part("xc7z020"), fastest=True)
    onnx.save(folded_graph(graph, estimate), path)
    found = finn.compile_graph(path, "xc7z020clg400-1", None, 10.0, tmp_path / "build")
    assert found.unmapped == [] and found.ours["cycles"] == estimate.timing.per_step
    # FINN's nodes by operator, as often at as many lanes as the operations that they were made of.
    wanted, have = Counter(), Counter()
    for operation, fold in zip(estimate.folded.graph.operations, estimate.folded.nodes, strict=True):
        if operation.op == "MatMul":
            wanted["MVAU", fold.lanes[0], fold.lanes[1] if len(fold.lanes) == 2 else 1] += 1
        elif operation.op == "MultiThreshold":
            wanted["Thresholding", fold.lanes[0], None] += 1
        else:
            wanted["Elementwise", fold.lanes[0], None] += 1
    for node, folding in found.folding.items():
        kind = next((name for name in ("MVAU", "Thresholding", "Elementwise") if node.startswith(name)), None)
        if kind:
            have[kind, folding["PE"], folding.get("SIMD")] += 1
    # Thresholds right behind a MatMul are part of its MVAU.
    assert not have - wanted and {kind for kind, _, _ in wanted - have} <= {"Thresholding"}
    assert max(lanes for _, lanes, _ in have) > 1
    config = json.loads((tmp_path / "build" / "dataflow_build_config.json").read_text())
    assert (tmp_path / "build" / config["folding_config_file"]).is_file()
    # A rate that is asked for is FINN's to fold for.
    slow = finn.compile_graph(path, "xc7z020clg400-1", 1.0, 10.0, tmp_path / "slow")
    assert {folding.get("PE") for folding in slow.folding.values()} == {1}
