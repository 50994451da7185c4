"""The checker: a legal graph passes, one fault is one rule, and nothing makes it crash."""

from __future__ import annotations

import copy

import numpy as np
import onnx
import pytest
from conftest import small_config, small_model
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from ssmq_export.check import RULES, check_file, check_model
from ssmq_export.check.report import to_json
from ssmq_export.engines import with_batch
from ssmq_export.errors import ExportError
from ssmq_export.from_model import describe
from ssmq_export.lower import lower
from ssmq_export.sequence_graph import sequence_graph
from ssmq_export.step_graph import step_graph


@pytest.fixture(scope="module")
def graphs() -> dict[str, onnx.ModelProto]:
    model = {"norm": "batch", "activation": "relu", "gate": "hard_sigmoid", "layers": 1}
    step = step_graph(describe(small_model(small_config(model=model))[1]))
    return {"step": step, "dataflow": lower(step), "sequence": sequence_graph(step)}


def node(model, name):
    return next(n for n in model.graph.node if n.name == name)


def constant(model, name):
    return next(t for t in model.graph.initializer if t.name == name)


def replace(model, name, change):
    tensor = constant(model, name)
    tensor.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(tensor).copy()), name))


def annotate(model, name, datatype):
    for annotation in model.graph.quantization_annotation:
        if annotation.tensor_name == name:
            annotation.quant_parameter_tensor_names[0].value = datatype


def set_attribute(found, name, value):
    kept = [a for a in found.attribute if a.name != name]
    del found.attribute[:]
    found.attribute.extend([*kept, helper.make_attribute(name, value)])


def info(model, name):
    ports = [*model.graph.value_info, *model.graph.input, *model.graph.output]
    return next(v for v in ports if v.name == name)


# Each takes a legal graph and breaks one thing.


def remove_all_nodes(m):
    del m.graph.node[:]
    del m.graph.output[:]


def close_a_loop(m):
    # The state's successor feeds the product that it depends on.
    node(m, "Mul_a_re_x_re_0").input[0] = "x_re_next_0"


def swap_order(m):
    nodes = list(m.graph.node)
    del m.graph.node[:]
    m.graph.node.extend(reversed(nodes))


def produce_twice(m):
    extra = copy.deepcopy(node(m, "Sub_ax_re_0"))
    extra.name = "again"
    m.graph.node.append(extra)


def dangle(m):
    node(m, "Sub_ax_re_0").input[1] = "nowhere"


def free_port_shape(m):
    info(m, "u").type.tensor_type.shape.dim[0].dim_param = "batch"


def unknown_shape(m):
    info(m, "ax_re_0").type.tensor_type.shape.dim[1].ClearField("dim_value")


def foreign_domain(m):
    node(m, "Sub_ax_re_0").domain = "com.example"


def undeclared_domain(m):
    kept = [entry for entry in m.opset_import if not entry.domain]
    del m.opset_import[:]
    m.opset_import.extend(kept)


def recurrence_inside(m):
    found = node(m, "Sub_ax_re_0")
    found.op_type = "LSTM"


def softmax(m):
    found = node(m, "Add_logits")
    found.op_type = "Softmax"
    del found.input[1:]


def gemm(m):
    node(m, "MatMul_encoder_product").op_type = "Gemm"


def matmul_of_streams(m):
    found = node(m, "Mul_gated_0")
    found.op_type = "MatMul"


def mismatched_join(m):
    node(m, "Mul_gated_0").input[1] = "x_re_next_0"


def no_datatype(m):
    kept = [a for a in m.graph.quantization_annotation if a.tensor_name != "ax_re_0"]
    del m.graph.quantization_annotation[:]
    m.graph.quantization_annotation.extend(kept)


def float_datatype(m):
    annotate(m, "x_re_next_0", "FLOAT32")


def float_values(m):
    replace(m, "bu_re_0_weight", lambda v: v + np.float32(0.25) * (v != 0))


def values_outside_type(m):
    annotate(m, "bu_re_0_weight", "INT2")


def unannotated_constant(m):
    annotate(m, "u_0_thresholds", "FLOAT32")


def wide_accumulator(m):
    annotate(m, "sum_re_0", "INT26")


def channels_first(m):
    set_attribute(node(m, "MultiThreshold_u_0"), "data_layout", "NCHW")


def unsorted_thresholds(m):
    replace(m, "u_0_thresholds", lambda v: v[:, ::-1])


def wrong_threshold_rows(m):
    replace(m, "u_0_thresholds", lambda v: np.repeat(v[:1], 7, axis=0))


def scaled_output(m):
    set_attribute(node(m, "MultiThreshold_u_0"), "out_scale", 0.5)


def fractional_bias(m):
    set_attribute(node(m, "MultiThreshold_u_0"), "out_bias", -7.5)


def narrow_output(m):
    set_attribute(node(m, "MultiThreshold_u_0"), "out_dtype", "INT4")


def float_output(m):
    set_attribute(node(m, "MultiThreshold_u_0"), "out_dtype", "FLOAT32")


def external(m):
    tensor = constant(m, "u_0_thresholds")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../secret")


DATAFLOW_FAULTS = {
    remove_all_nodes: "empty-graph",
    close_a_loop: "acyclic",
    swap_order: "node-order",
    produce_twice: "duplicate-tensor",
    dangle: "dangling-tensor",
    free_port_shape: "static-shapes",
    unknown_shape: "static-shapes",
    foreign_domain: "known-domain",
    undeclared_domain: "known-domain",
    recurrence_inside: "recurrence",
    softmax: "hardware-op",
    gemm: "hardware-op",
    matmul_of_streams: "static-weight",
    mismatched_join: "join-shape",
    no_datatype: "integer-datatypes",
    float_datatype: "integer-datatypes",
    float_values: "float-initializer",
    values_outside_type: "float-initializer",
    unannotated_constant: "float-initializer",
    wide_accumulator: "accumulator-width",
    channels_first: "layout",
    unsorted_thresholds: "threshold-order",
    wrong_threshold_rows: "threshold-shape",
    scaled_output: "threshold-output",
    fractional_bias: "threshold-output",
    narrow_output: "threshold-output",
    float_output: "threshold-output",
    external: "external-data",
}


def share_a_weight_quant(m):
    other = node(m, "Mul_a_re_x_im_0")
    other.input[1] = "a_re_x_re_0_weight"


def shift_the_zero_point(m):
    replace(m, "u_0_zero_point", lambda v: v + np.float32(3))


def round_down(m):
    set_attribute(node(m, "Quant_u_0"), "rounding_mode", "FLOOR")


def odd_scale(m):
    replace(m, "u_0_scale", lambda v: v * np.float32(0.3))


def computed_scale(m):
    node(m, "Quant_u_0").input[1] = "encoder_sum"


def odd_width(m):
    replace(m, "u_0_bits", lambda v: v + np.float32(0.5))




STEP_FAULTS = {
    share_a_weight_quant: "weight-quant-fork",
    shift_the_zero_point: "zero-point",
    round_down: "rounding-mode",
    odd_scale: "power-of-two-scale",
    computed_scale: "power-of-two-scale",
    odd_width: "quant-width",
}


def rules_of(findings, severity="error"):
    return {f.rule for f in findings if f.severity == severity}


def test_a_lowered_graph_is_legal(graphs):
    assert check_model(graphs["dataflow"]) == []


@pytest.mark.parametrize("fault", DATAFLOW_FAULTS, ids=lambda f: f.__name__)
def test_one_fault_is_one_rule(graphs, fault):
    model = copy.deepcopy(graphs["dataflow"])
    fault(model)
    findings = check_model(model)
    assert rules_of(findings) == {DATAFLOW_FAULTS[fault]}, findings
    assert all(f.message and f.fix and (f.node or f.tensor or f.rule == "empty-graph") for f in findings)


@pytest.mark.parametrize("fault", STEP_FAULTS, ids=lambda f: f.__name__)
def test_one_fault_of_a_qonnx_graph_is_one_rule(graphs, fault):
    model = copy.deepcopy(graphs["step"])
    fault(model)
    assert rules_of(check_model(model)) == {"not-lowered", STEP_FAULTS[fault]}


def test_warnings(graphs):
    model = with_batch(graphs["dataflow"], 4)
    node(model, "Sub_ax_re_0").name = ""
    node(model, "Add_sum_re_0").name = "Add_sum_im_0"
    findings = check_model(model)
    assert rules_of(findings, "warning") == {"node-names", "batch-size"}
    assert len(findings) == 2 + len(model.graph.input)


def test_wide_thresholds_and_unrolling_are_warned_of(graphs):
    model = copy.deepcopy(graphs["dataflow"])
    replace(model, "u_0_thresholds", lambda v: np.sort(np.repeat(v, 2, axis=1), axis=1)[:, :300])
    set_attribute(node(model, "MultiThreshold_u_0"), "out_dtype", "INT10")
    assert rules_of(check_model(model), "warning") == {"threshold-count"}
    model = copy.deepcopy(graphs["dataflow"])
    for k in range(40):
        model.graph.node.append(helper.make_node("Mul", ["x_re_0", "a_re_x_re_0_factor"], [f"t{k}"], name=f"t{k}"))
    assert "unrolled-recurrence" in rules_of(check_model(model), "warning")


def test_a_table_is_pointed_out():
    step = step_graph(describe(small_model(small_config(model={"activation": "hard_gelu"}))[1]))
    assert rules_of(check_model(lower(step)), "info") == {"table"}


def test_findings_as_json(graphs):
    (finding,) = to_json(check_model(graphs["step"]))["findings"]
    assert set(finding) == {"rule", "severity", "node", "tensor", "message", "fix"}


def test_rules_have_names_and_reasons():
    assert len({rule.id for rule in RULES}) == len(RULES) >= 20
    assert all(rule.why and rule.fix for rule in RULES)


def test_a_foreign_float_network_is_judged():
    value = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)  # noqa: E731
    weight = numpy_helper.from_array(np.random.default_rng(0).standard_normal((4, 3, 3, 3)).astype(np.float32), "w")
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], name="conv"),
        helper.make_node("Relu", ["c"], ["r"], name="relu"),
        helper.make_node("Flatten", ["r"], ["y"], name="flat"),
    ]
    graph = helper.make_graph(nodes, "cnn", [value("x", [1, 3, 8, 8])], [value("y", [1, 144])], [weight])
    findings = check_model(helper.make_model(graph))
    assert {f.node for f in findings if f.rule == "hardware-op"} == {"conv", "relu", "flat"}
    assert next(f for f in findings if f.node == "conv").message.endswith("(qonnx: LowerConvsToMatMul)")


@pytest.mark.parametrize("content", [b"", b"not onnx at all", bytes(range(256)) * 4, b"\x08\x08"])
def test_files_that_are_no_graphs_are_refused_in_one_line(tmp_path, content):
    path = tmp_path / "bad.onnx"
    path.write_bytes(content)
    with pytest.raises(ExportError, match="bad.onnx: ") as caught:
        check_file(path)
    assert "\n" not in str(caught.value)
    with pytest.raises(ExportError, match="no such file"):
        check_file(tmp_path / "missing.onnx")


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_nothing_makes_it_crash(graphs, tmp_path_factory, data):
    """Bytes changed at random, or fields removed at random."""
    model = graphs[data.draw(st.sampled_from(sorted(graphs)))]
    if data.draw(st.booleans()):
        content = bytearray(model.SerializeToString())
        for _ in range(data.draw(st.integers(1, 20))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        path = tmp_path_factory.mktemp("fuzz") / "g.onnx"
        path.write_bytes(bytes(content[: data.draw(st.integers(1, len(content)))]))
        try:
            check_file(path)
        except ExportError:
            pass
        return
    broken = copy.deepcopy(model)
    graph = broken.graph
    for _ in range(data.draw(st.integers(1, 6))):
        parts = [graph.node, graph.initializer, graph.value_info, graph.input, graph.output]
        part = data.draw(st.sampled_from([p for p in parts if p]))
        index = data.draw(st.integers(0, len(part) - 1))
        kind = data.draw(st.sampled_from(["remove", "input", "output", "clear"]))
        if kind == "remove":
            del part[index]
        elif part is graph.node and kind == "input" and part[index].input:
            del part[index].input[data.draw(st.integers(0, len(part[index].input) - 1))]
        elif part is graph.node and kind == "output":
            del part[index].output[:]
        elif kind == "clear":
            part[index].Clear()
    for finding in check_model(broken):
        assert finding.rule
