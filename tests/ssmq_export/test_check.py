"""The checker: a legal graph passes, one fault is one rule, and nothing makes it crash."""

from __future__ import annotations

import copy
import io
import json
import subprocess
import sys
import time

import numpy as np
import onnx
import pytest
from conftest import small_config, small_model
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from rich.console import Console
from ssmq_cli.check import to_table
from ssmq_export.checks import RULES, check_file, check_model
from ssmq_export.checks.finding import to_json
from ssmq_export.errors import ExportError
from ssmq_export.from_network import step_graph
from ssmq_export.graphs.sequence_graph import sequence_graph
from ssmq_export.lowering import collapse, lower
from ssmq_export.verification.engines import with_batch


@pytest.fixture(scope="module")
def graphs() -> dict[str, onnx.ModelProto]:
    model = {"norm": "batch", "activation": "relu", "gate": "hard_sigmoid", "layers": 1}
    step = step_graph(small_model(small_config(model=model))[1].network)
    dataflow = lower(step)
    whole = collapse(dataflow)
    return {"step": step, "dataflow": dataflow, "sequence": sequence_graph(step), "sequence-dataflow": whole}


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
    node(m, "Mul_blocks.0.ssm.a_re_x_re").input[0] = "blocks.0.ssm.x_re_next"


def swap_order(m):
    nodes = list(m.graph.node)
    del m.graph.node[:]
    m.graph.node.extend(reversed(nodes))


def produce_twice(m):
    extra = copy.deepcopy(node(m, "Sub_blocks.0.ssm.ax_re"))
    extra.name = "again"
    m.graph.node.append(extra)


def dangle(m):
    node(m, "Sub_blocks.0.ssm.ax_re").input[1] = "nowhere"


def free_port_shape(m):
    info(m, "u").type.tensor_type.shape.dim[0].dim_param = "batch"


def unknown_shape(m):
    info(m, "blocks.0.ssm.ax_re").type.tensor_type.shape.dim[1].ClearField("dim_value")


def foreign_domain(m):
    node(m, "Sub_blocks.0.ssm.ax_re").domain = "com.example"


def undeclared_domain(m):
    kept = [entry for entry in m.opset_import if not entry.domain]
    del m.opset_import[:]
    m.opset_import.extend(kept)


def recurrence_inside(m):
    found = node(m, "Sub_blocks.0.ssm.ax_re")
    found.op_type = "LSTM"


def softmax(m):
    found = node(m, "Add_decoder")
    found.op_type = "Softmax"
    del found.input[1:]


def gemm(m):
    node(m, "MatMul_encoder.product").op_type = "Gemm"


def matmul_of_streams(m):
    found = node(m, "Mul_blocks.0.mul")
    found.op_type = "MatMul"  # (1, heads) times (1, heads)


def mismatched_join(m):
    node(m, "Mul_blocks.0.mul").input[1] = "blocks.0.ssm.x_re_next"


def no_datatype(m):
    kept = [a for a in m.graph.quantization_annotation if a.tensor_name != "blocks.0.ssm.ax_re"]
    del m.graph.quantization_annotation[:]
    m.graph.quantization_annotation.extend(kept)


def port_without_datatype(m):
    annotate(m, "blocks.0.ssm.x_re", "FLOAT32")


def float_datatype(m):
    annotate(m, "blocks.0.ssm.x_re_next", "FLOAT32")


def float_values(m):
    replace(m, "blocks.0.ssm.bu_re_weight", lambda v: v + np.float32(0.25) * (v != 0))


def values_outside_type(m):
    annotate(m, "blocks.0.ssm.bu_re_weight", "INT2")


def unannotated_constant(m):
    annotate(m, "encoder_quant_thresholds", "FLOAT32")


def wide_accumulator(m):
    annotate(m, "blocks.0.ssm.sum_re", "INT26")


def channels_first(m):
    set_attribute(node(m, "MultiThreshold_encoder_quant"), "data_layout", "NHWC")  # of two dimensions


def unsorted_thresholds(m):
    replace(m, "encoder_quant_thresholds", lambda v: v[:, ::-1])


def wrong_threshold_rows(m):
    replace(m, "encoder_quant_thresholds", lambda v: np.repeat(v[:1], 7, axis=0))


def scaled_output(m):
    set_attribute(node(m, "MultiThreshold_encoder_quant"), "out_scale", 0.5)


def fractional_bias(m):
    set_attribute(node(m, "MultiThreshold_encoder_quant"), "out_bias", -7.5)


def narrow_output(m):
    set_attribute(node(m, "MultiThreshold_encoder_quant"), "out_dtype", "INT4")


def float_output(m):
    set_attribute(node(m, "MultiThreshold_encoder_quant"), "out_dtype", "FLOAT32")


def external(m):
    tensor = constant(m, "encoder_quant_thresholds")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../secret")


def contradict_the_annotation(m):
    annotate(m, "encoder_quant", "INT9")


def computed_thresholds(m):
    node(m, "MultiThreshold_encoder_quant").input[1] = "blocks.0.ssm.x_re"


def unsigned_thresholds_that_fall(m):
    replace(m, "encoder_quant_thresholds", lambda v: np.arange(v.shape[1], dtype=np.uint8)[None, ::-1] // np.uint8(4))


def five_dimensions(m):
    name = node(m, "MultiThreshold_encoder_quant").input[0]
    channels = info(m, name).type.tensor_type.shape.dim[-1].dim_value
    info(m, name).CopyFrom(helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, 1, 1, channels]))


def half_precision(m):
    annotate(m, "blocks.0.ssm.sum_re", "INT14")
    info(m, "blocks.0.ssm.sum_re").type.tensor_type.elem_type = TensorProto.FLOAT16


def type_without_a_name(m):
    annotate(m, "blocks.0.ssm.ax_re", "INT 8")


def text_for_a_constant(m):
    replace(m, "blocks.0.ssm.bu_re_weight", lambda v: np.full(v.shape, "a", object))


def same_name_for_two_constants(m):
    m.graph.initializer.append(constant(m, "blocks.0.ssm.bu_re_weight"))


def damaged_constant(m):
    constant(m, "blocks.0.ssm.bu_re_weight").raw_data = constant(m, "blocks.0.ssm.bu_re_weight").raw_data[:-1]


def missing_operand(m):
    del node(m, "Sub_blocks.0.ssm.ax_re").input[1]


DATAFLOW_FAULTS = {
    remove_all_nodes: "empty-graph",
    close_a_loop: "acyclic",
    swap_order: "node-order",
    produce_twice: "duplicate-tensor",
    dangle: "dangling-tensor",
    free_port_shape: "static-shapes",
    foreign_domain: "known-domain",
    undeclared_domain: "known-domain",
    recurrence_inside: "recurrence",
    softmax: "hardware-op",
    gemm: "hardware-op",
    matmul_of_streams: "join-shape",
    mismatched_join: "join-shape",
    port_without_datatype: "integer-datatypes",
    float_values: "float-initializer",
    values_outside_type: "float-initializer",
    wide_accumulator: "accumulator-width",
    channels_first: "conversion",
    unsorted_thresholds: "threshold-order",
    wrong_threshold_rows: "threshold-shape",
    scaled_output: "threshold-output",
    fractional_bias: "threshold-output",
    narrow_output: "threshold-output",
    float_output: "threshold-output",
    external: "external-data",
    computed_thresholds: "threshold-shape",
    unsigned_thresholds_that_fall: "threshold-order",
    five_dimensions: "declared-type",
    half_precision: "accumulator-width declared-type",
    type_without_a_name: "unknown-datatype",
    text_for_a_constant: "float-initializer join-shape",
    same_name_for_two_constants: "duplicate-tensor",
    damaged_constant: "malformed-constant",
    missing_operand: "operand-count",
}


def share_a_weight_quant(m):
    other = node(m, "Mul_blocks.0.ssm.a_re_x_im")
    other.input[1] = "blocks.0.ssm.a_re_x_re_weight"


def shift_the_zero_point(m):
    replace(m, "encoder_quant_zero_point", lambda v: v + np.float32(3))


def round_down(m):
    set_attribute(node(m, "Quant_encoder_quant"), "rounding_mode", "FLOOR")


def odd_scale(m):
    replace(m, "encoder_quant_scale", lambda v: v * np.float32(0.3))


def computed_scale(m):
    node(m, "Quant_encoder_quant").input[1] = "encoder"


def odd_width(m):
    replace(m, "encoder_quant_bits", lambda v: v + np.float32(0.5))


def computed_zero_point(m):
    node(m, "Quant_encoder_quant").input[2] = "u"


def text_for_a_width(m):
    replace(m, "encoder_quant_bits", lambda v: np.array(["eight"], object))


def float_weight(m):
    node(m, "MatMul_encoder.product").input[1] = "encoder.weight_param"


def float_data(m):
    # Brevitas leaves this where an activation has no output quantiser.
    node(m, "Quant_u_quant").op_type = "Sigmoid"
    del node(m, "Quant_u_quant").input[1:], node(m, "Quant_u_quant").attribute[:]
    node(m, "Quant_u_quant").domain = ""


def external_constant_node(m):
    value = TensorProto(name="far", data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    value.external_data.add(key="location", value="/etc/passwd")
    m.graph.node.append(helper.make_node("Constant", [], ["far"], name="far", value=value))
    m.graph.value_info.append(helper.make_tensor_value_info("far", TensorProto.FLOAT, [1]))


STEP_FAULTS = {
    share_a_weight_quant: "weight-quant-fork",
    shift_the_zero_point: "zero-point",
    round_down: "rounding-mode",
    odd_scale: "power-of-two-scale",
    computed_scale: "power-of-two-scale",
    odd_width: "quant-width",
    computed_zero_point: "zero-point",
    text_for_a_width: "quant-width",
    float_weight: "float-matmul-operand",
    float_data: "float-matmul-operand",
    external_constant_node: "external-data",
}


def rules_of(findings, severity="error"):
    return {f.rule for f in findings if f.severity == severity}


def test_a_lowered_graph_is_legal(graphs):
    assert {f.severity for f in check_model(graphs["dataflow"])} <= {"info"}


@pytest.mark.parametrize("fault", DATAFLOW_FAULTS, ids=lambda f: f.__name__)
def test_one_fault_is_one_rule(graphs, fault):
    model = copy.deepcopy(graphs["dataflow"])
    fault(model)
    findings = check_model(model)
    assert rules_of(findings) == set(DATAFLOW_FAULTS[fault].split()), findings
    assert all(f.message and f.fix and (f.node or f.tensor or f.rule == "empty-graph") for f in findings)


@pytest.mark.parametrize("fault", [no_datatype, float_datatype, unannotated_constant, contradict_the_annotation])
def test_annotations_that_finn_overwrites_are_warned_of(graphs, fault):
    """Of inner tensors and thresholds: FINN infers its own, maps the graph and computes the same codes."""
    model = copy.deepcopy(graphs["dataflow"])
    fault(model)
    assert (rules_of(check_model(model)), rules_of(check_model(model), "warning")) == (set(), {"inferred-datatype"})


def test_shapes_that_follow_need_not_be_declared(graphs):
    model = copy.deepcopy(graphs["dataflow"])
    unknown_shape(model)
    assert {f.severity for f in check_model(model)} <= {"info"}


@pytest.mark.parametrize("fault", STEP_FAULTS, ids=lambda f: f.__name__)
def test_one_fault_of_a_qonnx_graph_is_one_rule(graphs, fault):
    model = copy.deepcopy(graphs["step"])
    fault(model)
    assert rules_of(check_model(model)) == {"not-lowered", STEP_FAULTS[fault]}


def test_warnings(graphs):
    model = with_batch(graphs["dataflow"], 4)
    node(model, "Sub_blocks.0.ssm.ax_re").name = ""
    node(model, "Add_blocks.0.ssm.sum_re").name = "Add_blocks.0.ssm.sum_im"
    findings = check_model(model)
    assert rules_of(findings, "warning") == {"node-names", "batch-size"}
    assert sum(f.severity != "info" for f in findings) == 2 + len(model.graph.input)


def test_wide_thresholds_and_unrolling_are_warned_of(graphs):
    model = copy.deepcopy(graphs["dataflow"])
    replace(model, "encoder_quant_thresholds", lambda v: np.sort(np.repeat(v, 2, axis=1), axis=1)[:, :300])
    set_attribute(node(model, "MultiThreshold_encoder_quant"), "out_dtype", "INT10")
    annotate(model, "encoder_quant", "INT10")
    assert rules_of(check_model(model), "warning") == {"threshold-count"}
    model = copy.deepcopy(graphs["dataflow"])
    for k in range(40):
        model.graph.node.append(
            helper.make_node("Mul", ["blocks.0.ssm.x_re", "blocks.0.ssm.a_re_x_re_factor"], [f"t{k}"], name=f"t{k}")
        )
    assert "unrolled-recurrence" in rules_of(check_model(model), "warning")


def test_containers_and_widths_that_finn_cannot_stream_are_warned_of(graphs):
    model = copy.deepcopy(graphs["dataflow"])
    info(model, "blocks.0.ssm.ax_re").type.tensor_type.elem_type = TensorProto.DOUBLE
    assert rules_of(check_model(model), "warning") == {"float32-container"}
    model = copy.deepcopy(graphs["dataflow"])
    annotate(model, "blocks.0.ssm.ax_re", "INT9000")
    assert rules_of(check_model(model), "warning") == {"stream-width"}


def test_a_join_of_two_grids_is_warned_of(graphs):
    model = copy.deepcopy(graphs["step"])
    joined = node(model, "Add_blocks.0.add")
    joined.input[1] = "blocks.0.gate_quant"
    scales = [numpy_helper.to_array(constant(model, f"{name}_scale")) for name in joined.input]
    assert rules_of(check_model(model), "warning") == ({"grid-join"} if np.any(scales[0] != scales[1]) else set())
    for scale, expected in ((scales[0] * 2, {"grid-join"}), (scales[0], set())):
        replace(model, "blocks.0.gate_quant_scale", lambda v, scale=scale: scale)
        assert rules_of(check_model(model), "warning") == expected


def test_a_pair_of_threshold_counts_is_a_table_without_the_mark_too():
    step = step_graph(small_model(small_config(model={"activation": "hard_gelu"}))[1].network)
    model = lower(step)
    marked = [n for n in model.graph.node if n.metadata_props]
    for found in marked:
        del found.metadata_props[:]
    assert len([f for f in check_model(model) if f.rule == "table"]) == len(marked) > 0


def test_a_table_is_pointed_out():
    step = step_graph(small_model(small_config(model={"activation": "hard_gelu"}))[1].network)
    assert rules_of(check_model(lower(step)), "info") == {"table", "residual-buffer"}


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
    assert {f.node for f in findings if f.rule in ("hardware-op", "conversion")} == {"conv", "flat"}
    assert next(f for f in findings if f.node == "conv").message.endswith("(qonnx: LowerConvsToMatMul)")


def test_an_old_quantized_cnn_is_judged():
    """Opset 9, batch norm as a float island between a Quant and the next layer."""
    value = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)  # noqa: E731
    constants = {"w": np.ones((4, 3, 1, 1)), "s": np.array(0.25), "z": np.array(0.0), "b": np.array(4.0)}
    constants |= {name: np.ones(4) for name in ("gain", "offset", "mean", "variance")}
    nodes = [
        helper.make_node("Quant", ["w", "s", "z", "b"], ["wq"], name="wq", domain="qonnx.custom_op.general", signed=1, narrow=0),
        helper.make_node("Conv", ["x", "wq"], ["c"], name="conv"),
        helper.make_node("BatchNormalization", ["c", "gain", "offset", "mean", "variance"], ["n"], name="norm"),
        helper.make_node("Softmax", ["n"], ["y"], name="softmax"),
    ]  # fmt: skip
    tensors = [numpy_helper.from_array(array.astype(np.float32), name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "cnn", [value("x", [1, 3, 8, 8])], [value("y", [1, 4, 8, 8])], tensors)
    opsets = [helper.make_opsetid("", 9), helper.make_opsetid("qonnx.custom_op.general", 1)]
    findings = check_model(helper.make_model(graph, opset_imports=opsets, ir_version=4))
    assert {f.node for f in findings if f.rule == "hardware-op"} == {"conv", "softmax"}
    assert "not-lowered" in rules_of(findings)


def test_a_file_of_100_mb_is_judged_in_bounded_time_and_memory(tmp_path):
    """In a process of its own with 3 GiB of address space and 20 s of processor time."""
    weight = np.random.default_rng(0).standard_normal((5000, 5000)).astype(np.float32)
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 5000]) for name in ("x", "y")]
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"], name="large")]
    graph = helper.make_graph(nodes, "g", ports[:1], ports[1:], [numpy_helper.from_array(weight, "w")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]), tmp_path / "large.onnx")
    script = (
        "import resource, sys; from ssmq_cli.main import main\n"
        "resource.setrlimit(resource.RLIMIT_AS, (3 << 30,) * 2); resource.setrlimit(resource.RLIMIT_CPU, (20, 20))\n"
        "sys.argv = ['ssmq', 'check', sys.argv[1], '--json']; main()"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path / "large.onnx")], capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr == ""
    found = [f["tensor"] for f in json.loads(done.stdout)["findings"] if f["rule"] == "float-initializer"]
    assert found == ["w"]


@pytest.mark.parametrize("content", [b"", b"not onnx at all", bytes(range(256)) * 4, b"\x08\x08"])
def test_files_that_are_no_graphs_are_refused_in_one_line(tmp_path, content):
    path = tmp_path / "bad.onnx"
    path.write_bytes(content)
    with pytest.raises(ExportError, match="bad.onnx: ") as caught:
        check_file(path)
    assert "\n" not in str(caught.value)
    with pytest.raises(ExportError, match="no such file"):
        check_file(tmp_path / "missing.onnx")


ODD_TENSOR = numpy_helper.from_array(np.ones(2), "t")
ODD_VALUES = [0, -1, 2.5, float("nan"), float("inf"), "", "x[/b]", "\u0663", [1, 2], ["a"], ODD_TENSOR]
ODD_ARRAYS = [
    np.ones((2, 2), np.complex64),
    np.array([["a", "b"]], object),
    np.ones((1, 3), bool),
    np.zeros((0, 4), np.float32),
    np.array([[9, 1]], np.uint64),
    np.array([[np.nan, np.inf]], np.float16),
    np.array(2.0, np.float32),
]


@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_values_of_odd_types_never_crash_it(graphs, data):
    """Attributes, constants and annotations of types that their place does not allow; a table is drawn of the outcome."""
    model = copy.deepcopy(graphs[data.draw(st.sampled_from(["step", "dataflow", "sequence-dataflow"]))])
    attributed = [n for n in model.graph.node if n.attribute]
    for _ in range(data.draw(st.integers(1, 4))):
        found = data.draw(st.sampled_from(attributed))
        found.name = data.draw(st.sampled_from([found.name, "a[/b]", "[red]"]))
        if found.attribute:
            name = data.draw(st.sampled_from([a.name for a in found.attribute]))
            set_attribute(found, name, data.draw(st.sampled_from(ODD_VALUES)))
            found.attribute[-1].type = data.draw(st.sampled_from([found.attribute[-1].type, 0]))
        tensor = data.draw(st.sampled_from(list(model.graph.initializer)))
        replace(model, tensor.name, lambda v: data.draw(st.sampled_from(ODD_ARRAYS)))
        types = ["INT0", "INT2000", "INT" + "9" * 5000, "INT\u0663", "FIXED<8,3>", "SCALEDINT<8>", "", "INT8 "]
        ports = list(model.graph.quantization_annotation)
        if ports:
            annotate(model, data.draw(st.sampled_from(ports)).tensor_name, data.draw(st.sampled_from(types)))
    Console(file=io.StringIO()).print(to_table(check_model(model)))


def test_a_large_graph_is_judged_quickly():
    """500 nodes with constants of 2048 x 64."""
    port = lambda name, n: helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, n])  # noqa: E731
    shared = np.random.default_rng(0).integers(-8, 8, (64, 2048)).astype(np.float32)
    nodes, constants, values, types, last = [], [], [], {"x": "INT8"}, "x"
    for k in range(500):
        weight = shared if k % 2 == 0 else shared.T
        constants.append(numpy_helper.from_array(np.ascontiguousarray(weight), f"w{k}"))
        nodes.append(helper.make_node("MatMul", [last, f"w{k}"], [f"y{k}"], name=f"n{k}"))
        values.append(port(f"y{k}", weight.shape[1]))
        types |= {f"w{k}": "INT4", f"y{k}": "INT22"}
        last = f"y{k}"
    graph = helper.make_graph(nodes, "large", [port("x", 64)], [values.pop()], constants, value_info=values)
    for name, datatype in types.items():
        entry = onnx.StringStringEntryProto(key="finn_datatype", value=datatype)
        graph.quantization_annotation.append(onnx.TensorAnnotation(tensor_name=name, quant_parameter_tensor_names=[entry]))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    started = time.process_time()
    assert check_model(model) == []
    assert time.process_time() - started < 2


def test_names_that_are_no_text_are_refused(graphs, tmp_path):
    content = graphs["dataflow"].SerializeToString()
    path = tmp_path / "bad.onnx"
    for name in (b"qonnx.custom_op.general", b"blocks.0.ssm.x_re_next", b"finn_datatype"):
        path.write_bytes(content.replace(name, b"\xff" + name[1:]))
        with pytest.raises(ExportError, match="bad.onnx: .*UTF-8"):
            check_file(path)


@settings(max_examples=150, suppress_health_check=list(HealthCheck))
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
