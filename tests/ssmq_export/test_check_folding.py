"""Rules of folded and of hardware graphs: a small one as FINN writes it, broken in one place each."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest
from conftest import small_config, small_model
from onnx import StringStringEntryProto, TensorAnnotation, TensorProto, helper, numpy_helper
from ssmq_export.checks import RULES, check_model
from ssmq_export.checks.sarif import to_sarif
from ssmq_export.from_network import step_graph
from ssmq_export.lowering import collapse, lower

FINN = "finn.custom_op.fpgadataflow"


@pytest.fixture(scope="module")
def hardware():
    """u -> MVAU -> DuplicateStreams -> (Thresholding, .) -> ElementwiseAdd -> y, eight channels."""

    def node(op, inputs, outputs, back_end, **attributes):
        return helper.make_node(op, inputs, outputs, name=f"{op}_{outputs[0]}", domain=f"{FINN}.{back_end}", **attributes)

    weights = {"w": np.ones((4, 8), np.float32), "levels": np.arange(3, dtype=np.float32)[None]}
    nodes = [
        node("MVAU_rtl", ["u", "w"], ["s"], "rtl", MW=4, MH=8, PE=2, SIMD=4, inputDataType="INT8", weightDataType="INT4", outputDataType="INT14"),
        node("DuplicateStreams_hls", ["s"], ["s0", "s1"], "hls", NumChannels=8, PE=2, inputDataType="INT14"),
        node("Thresholding_rtl", ["s0", "levels"], ["t"], "rtl", NumChannels=8, PE=2, inputDataType="INT14", outputDataType="UINT2"),
        node("ElementwiseAdd_hls", ["t", "s1"], ["y"], "hls", out_shape=[1, 8], PE=2),
    ]  # fmt: skip
    types = {
        "u": "INT8",
        "w": "INT4",
        "levels": "UINT2",
        "s": "INT14",
        "s0": "INT14",
        "s1": "INT14",
        "t": "UINT2",
        "y": "INT15",
    }
    info = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4 if name == "u" else 8])  # noqa: E731
    constants = [numpy_helper.from_array(values, name) for name, values in weights.items()]
    graph = helper.make_graph(
        nodes, "g", [info("u")], [info("y")], constants, value_info=[info(n) for n in ("s", "s0", "s1", "t")]
    )
    for tensor, datatype in types.items():
        entry = StringStringEntryProto(key="finn_datatype", value=datatype)
        graph.quantization_annotation.append(TensorAnnotation(tensor_name=tensor, quant_parameter_tensor_names=[entry]))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


@pytest.fixture(scope="module")
def sequence():
    """Four heads of three modes, two layers."""
    return collapse(lower(step_graph(small_model(small_config())[1].network)))


def found(model, *severities):
    return {f.rule for f in check_model(model) if f.severity in severities}


def attribute(model, op, name, value):
    node = next(n for n in model.graph.node if n.op_type == op)
    kept = [a for a in node.attribute if a.name != name]
    del node.attribute[:]
    node.attribute.extend([*kept, helper.make_attribute(name, value)])


def bypass_the_duplicate(m):
    m.graph.node[2].input[0] = "s1"


def host_operator(m):
    m.graph.node[2].CopyFrom(helper.make_node("Neg", ["s0"], ["t"], name="stray"))


FAULTS = {
    "PE of an MVAU": (lambda m: attribute(m, "MVAU_rtl", "PE", 3), "folding"),
    "SIMD of an MVAU": (lambda m: attribute(m, "MVAU_rtl", "SIMD", 3), "folding"),
    "PE of thresholds": (lambda m: attribute(m, "Thresholding_rtl", "PE", 16), "folding"),
    "PE of a sum": (lambda m: attribute(m, "ElementwiseAdd_hls", "PE", 5), "folding"),
    "no PE at all": (lambda m: attribute(m, "DuplicateStreams_hls", "PE", 0), "folding"),
    "wide input": (lambda m: attribute(m, "MVAU_rtl", "inputDataType", "INT3000"), "folded-width"),
    "wide weights": (lambda m: attribute(m, "MVAU_rtl", "weightDataType", "INT1100"), "folded-width"),
    "a fork without a copy": (bypass_the_duplicate, "fork"),
}


def test_a_hardware_graph_is_legal(hardware):
    assert found(hardware, "error", "warning") == set()


@pytest.mark.parametrize("fault", FAULTS)
def test_one_fault_of_a_hardware_graph_is_one_rule(hardware, fault):
    model = copy.deepcopy(hardware)
    change, rule = FAULTS[fault]
    change(model)
    assert found(model, "error") == {rule}


def test_a_foreign_node_between_hardware_is_two_partitions(hardware):
    model = copy.deepcopy(hardware)
    host_operator(model)
    findings = [f for f in check_model(model) if f.rule == "single-partition"]
    assert [(f.node, f.message) for f in findings] == [
        ("stray", "Neg stands between hardware nodes, before ElementwiseAdd_hls_y")
    ]
    # Before the first and behind the last hardware node the host may do as it likes.
    model = copy.deepcopy(hardware)
    model.graph.node[3].CopyFrom(helper.make_node("Neg", ["t"], ["y"], name="behind"))
    assert "single-partition" not in found(model, "error")


@pytest.mark.parametrize(("lanes", "legal"), [(1, True), (2, False), (3, True), (5, False), (6, True), (9, False), (12, True)])
def test_lanes_of_a_scan_divide_its_modes_or_make_whole_heads(sequence, lanes, legal):
    model = copy.deepcopy(sequence)
    for node in model.graph.node:
        if node.op_type == "DiagonalScan":
            next(a for a in node.attribute if a.name == "PE").i = lanes
    assert found(model, "error") == (set() if legal else {"folding"})


def test_a_sweep_shorter_than_the_loop_is_warned_of(sequence):
    """Twelve modes: one at a time 12 cycles, three at a time 4, and a state is back after ten."""
    model = copy.deepcopy(sequence)
    assert "recurrence-rate" not in found(model, "warning")
    attribute(model, "DiagonalScan", "PE", 3)
    assert found(model, "warning") == {"recurrence-rate"}


def test_the_residual_s_buffer_is_pointed_out(sequence):
    told = [f for f in check_model(sequence) if f.rule == "residual-buffer"]
    assert [(f.node, f.tensor) for f in told] == [
        ("Add_blocks.0.add", "encoder_quant"),
        ("Add_blocks.1.add", "blocks.0.add_quant"),
    ]
    assert all("a FIFO of 4 elements" in f.message for f in told)


def test_sarif_names_rules_levels_and_places(hardware, tmp_path):
    model = copy.deepcopy(hardware)
    attribute(model, "MVAU_rtl", "PE", 3)
    run = json.loads(json.dumps(to_sarif(check_model(model), tmp_path / "finn.onnx")))["runs"][0]
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == [rule.id for rule in RULES]
    assert all(rule["fullDescription"]["text"] and rule["help"]["text"] for rule in rules)
    (result,) = run["results"]
    assert rules[result["ruleIndex"]]["id"] == result["ruleId"] == "folding" and result["level"] == "error"
    place = result["locations"][0]
    assert place["logicalLocations"] == [{"name": "MVAU_rtl_s", "kind": "function"}]
    assert place["physicalLocation"]["artifactLocation"]["uri"].endswith("finn.onnx")
    assert {r["level"] for r in run["results"]} <= {"none", "note", "warning", "error"}


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("ssmq.PE", "4", None),
        ("ssmq.SIMD", "2", None),
        ("ssmq.resType", "lut", None),
        ("ssmq.PE", "3", "ssmq.PE 3 does not divide 4"),
        ("ssmq.SIMD", "8", "ssmq.SIMD 8 does not divide 4"),
        ("ssmq.PE", "0", "ssmq.PE 0 does not divide 4"),
        ("ssmq.SIMD", "-1", "ssmq.SIMD 0 does not divide 4"),
        ("ssmq.PE", "many", "ssmq.PE 0 does not divide 4"),
        ("ssmq.PE", "9" * 40, "ssmq.PE 0 does not divide 4"),
    ],
)
def test_the_folding_that_a_node_keeps_divides_its_channels(key, value, message):
    model = lower(step_graph(small_model(small_config())[1].network))
    node = next(node for node in model.graph.node if node.name == "MatMul_blocks.0.linear_0.product")
    node.metadata_props.add(key=key, value=value)
    findings = [(f.node, f.message) for f in check_model(model) if f.rule == "folding"]
    assert findings == ([(node.name, message)] if message else [])
