"""``DiagonalScan`` is the step's recurrence, and the sequence graph made with it gives the step graph's codes."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from conftest import LENGTH, small_codes, small_config, small_model
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import numpy_helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp
from qonnx.transformation.infer_datatypes import InferDataTypes
from qonnx.transformation.infer_shapes import InferShapes
from ssmq_export.checks import check_model
from ssmq_export.dataflow.datatype import integer_range
from ssmq_export.dataflow.diagonal_scan import output_range, scan
from ssmq_export.dataflow.keys import SCAN_DOMAIN
from ssmq_export.errors import ExportError
from ssmq_export.estimates import estimate_graph, find_part
from ssmq_export.from_network import network_spec, step_graph, trace
from ssmq_export.graphs.network_graph import network_graph
from ssmq_export.graphs.network_spec import Recurrence
from ssmq_export.lowering import collapse, lower
from ssmq_export.verification.agreement import compare
from ssmq_export.verification.engines import run_steps, run_whole
from test_graphs import CASES


def by_hand(u, p, bits):
    """The specification in Python's own integers; fractions of two round half to even by ``round``."""
    from fractions import Fraction

    heads, modes = p["a_re"].shape
    result = np.zeros(u.shape, object)
    for b in range(u.shape[0]):
        for h in range(heads):
            state = [(0, 0)] * modes
            for t in range(u.shape[1]):
                pixel, total = int(u[b, t, h]), int(p["d"][h]) * int(u[b, t, h])
                for n in range(modes):
                    a_re, a_im, b_re, b_im, c_re, c_im = (
                        int(p[k][h, n]) for k in ("a_re", "a_im", "b_re", "b_im", "c_re", "c_im")
                    )
                    re, im = state[n]
                    sums = a_re * re - a_im * im + b_re * pixel, a_re * im + a_im * re + b_im * pixel
                    shift = int(np.broadcast_to(p["shift"], (heads, modes))[h, n])
                    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
                    state[n] = tuple(min(max(round(Fraction(s, 2**shift)), low), high) for s in sums)
                    total += c_re * state[n][0] - c_im * state[n][1]
                result[b, t, h] = total
    return result


@st.composite
def scans(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    heads, modes, bits = draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(2, 12))
    size = 2 ** draw(st.integers(1, 9))
    parameters = {name: rng.integers(-size, size, (heads, modes)) for name in ("a_re", "a_im", "b_re", "b_im", "c_re", "c_im")}
    parameters["d"] = rng.integers(-size, size, heads)
    shape = draw(st.sampled_from([(1,), (heads, modes)]))
    parameters["shift"] = rng.integers(0, 12, shape)
    return rng.integers(-128, 128, (2, 5, heads)), parameters, bits


@settings(max_examples=60)
@given(scans())
def test_the_operator_is_its_specification(case):
    """Small shifts saturate, odd multiples of half a code are ties."""
    u, parameters, bits = case
    found = scan(u, parameters, bits)
    assert np.array_equal(found, by_hand(u, parameters, bits).astype(np.int64))
    low, high = output_range(parameters, -128, 127, bits)
    assert low <= found.min() and found.max() <= high


def test_ties_and_ends_by_hand():
    """One mode that only copies its input, halved: -3/2, -1/2, 1/2, 3/2, 5/2 and far out."""
    one, zero = np.array([[1]]), np.array([[0]])
    parameters = {"a_re": zero, "a_im": zero, "b_re": one, "b_im": zero, "c_re": one, "c_im": zero}
    u = np.array([-3, -1, 1, 3, 5, 100, -100]).reshape(1, -1, 1)
    found = scan(u, {**parameters, "d": np.array([0]), "shift": np.array([1])}, 4)
    assert found.ravel().tolist() == [-2, 0, 0, 2, 2, 7, -8]


MORE = {
    "one-layer": {"model": {"layers": 1}},
    "four-layers": {"model": {"layers": 4, "norm": "batch", "activation": "relu"}},
    "per-head-not-equalised": {"scheme": {"granularity": "head", "equalise": False}},
}


@pytest.mark.parametrize("case", [*CASES, *MORE])
def test_the_sequence_graph_gives_every_code(case):
    _, model = small_model(small_config(**{**CASES, **MORE}[case]))
    codes = small_codes(6, 9, model.shape.channels).numpy()
    graph = collapse(lower(step_graph(model.network)))
    assert [node.op_type for node in graph.graph.node].count("DiagonalScan") == model.shape.layers
    expected = trace(model.network, codes, "reference")
    tensors = [name for name in expected if name not in ("decoder", "mul_quant")]
    found = run_whole(graph, codes, tensors)
    agreement = compare("DiagonalScan", expected, found)
    assert (agreement.differing, agreement.first) == (0, "")
    # Every tensor of the step but the states, which are inside.
    assert set(tensors) - set(found) == {f"blocks.{k}.ssm.x_{p}_next" for p in ("re", "im") for k in range(model.shape.layers)}
    onnx.checker.check_model(graph, full_check=True)
    assert [finding for finding in check_model(graph) if finding.severity == "error"] == []


def test_size_is_linear_in_layers_and_independent_of_length():
    sizes = {}
    for layers in (1, 2, 4):
        _, model = small_model(small_config(model={"layers": layers, "length": LENGTH}))
        step = step_graph(model.network)
        sizes[layers] = len(collapse(lower(step)).graph.node)
        for entry in step.metadata_props:
            if entry.key == "ssmq.length":
                entry.value = "5000"
        assert len(collapse(lower(step)).graph.node) == sizes[layers]
    assert sizes[4] - sizes[2] == 2 * (sizes[2] - sizes[1])


@pytest.fixture(scope="module")
def graph():
    return collapse(lower(step_graph(small_model(small_config())[1].network)))


def test_qonnx_infers_shapes_and_types(graph):
    known = {info.name: info for info in graph.graph.value_info}
    bare = onnx.ModelProto()
    bare.CopyFrom(graph)
    del bare.graph.value_info[:]
    wrapper = ModelWrapper(bare).transform(InferShapes())
    for node in bare.graph.node:
        if node.op_type == "DiagonalScan":
            shape = [d.dim_value for d in known[node.output[0]].type.tensor_type.shape.dim]
            assert wrapper.get_tensor_shape(node.output[0]) == shape == [1, LENGTH, 1, 4]
            annotated = wrapper.get_tensor_datatype(node.output[0]).name
            wrapper = wrapper.transform(InferDataTypes())
            assert wrapper.get_tensor_datatype(node.output[0]).name == annotated
            assert getCustomOp(node).verify_node() == []


def test_no_code_leaves_its_annotated_type(graph):
    _, model = small_model(small_config())
    codes = small_codes(16).numpy()
    exponents_free = run_whole(graph, codes, [o for node in graph.graph.node for o in node.output])
    import json

    formats = json.loads(next(p.value for p in graph.metadata_props if p.key == "ssmq.formats"))
    checked = 0
    for name, values in exponents_free.items():
        low, high = integer_range(formats[name]["datatype"])
        found = np.ldexp(values, -np.asarray(formats[name]["exponent"]))
        assert low <= found.min() and found.max() <= high, name
        checked += 1
    # What follows the sum over time has one step and is not traced, but for the output.
    steps = [v.type.tensor_type.shape.dim[1].dim_value for v in (*graph.graph.value_info, *graph.graph.output)]
    assert checked == steps.count(codes.shape[1]) + 1 and checked > len(graph.graph.node) / 2


def test_the_estimate_counts_the_scan(graph):
    found = estimate_graph(graph, find_part("xc7z020clg400-1")).as_dict()
    scans = [node for node in found["nodes"] if node["op"] == "DiagonalScan"]
    assert len(scans) == 2 and all(node["cycles"] == 12 and node["dsp"] > 0 for node in scans)
    step = estimate_graph(lower(step_graph(small_model(small_config())[1].network)), find_part("xc7z020clg400-1")).as_dict()
    assert found["bytes"]["state"] == step["bytes"]["state"]
    # The step graph leaves out products with zeros of B and C.
    assert 0 <= found["multiplications_per_step"] - step["multiplications_per_step"] <= 2 * 12


def altered(change):
    graph = lower(step_graph(small_model(small_config())[1].network))
    change({tensor.name: tensor for tensor in graph.graph.initializer})
    return graph


def rewrite(tensor, change):
    values = numpy_helper.to_array(tensor).copy()
    change(values)
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


@pytest.mark.parametrize(
    ("tensor", "change", "message"),
    [
        (
            "blocks.1.ssm.a_re_x_im_factor",
            lambda v: v.__iadd__(1),
            r"blocks\.1\.ssm\.x_im_next: its sum and that of blocks\.1\.ssm\.x_re_next are no complex",
        ),
        (
            "blocks.0.ssm.bu_re_weight",
            lambda v: v.__setitem__((0, 5), 1),
            r"blocks\.0\.ssm\.x_re_next: its sum is not diagonal in encoder_quant",
        ),
        (
            "blocks.0.ssm.cx_im_weight",
            lambda v: v.__setitem__((5, 0), 3),
            r"blocks\.0\.ssm: is not a sum over the modes of each head",
        ),
        (
            "blocks.0.ssm.x_re_next_thresholds",
            lambda v: v.__setitem__((0, 9), v[0, 10]),
            r"blocks\.0\.ssm\.x_re_next: the thresholds of channel 0 are no",
        ),
    ],
)
def test_what_is_no_diagonal_recurrence_is_named(tensor, change, message):
    with pytest.raises(ExportError, match=message):
        collapse(altered(lambda tensors: rewrite(tensors[tensor], change)))


def test_an_undeclared_domain_is_refused(graph):
    bare = onnx.ModelProto()
    bare.CopyFrom(graph)
    kept = [entry for entry in bare.opset_import if entry.domain != SCAN_DOMAIN]
    del bare.opset_import[:]
    bare.opset_import.extend(kept)
    assert {finding.rule for finding in check_model(bare)} >= {"known-domain"}
    assert onnx.printer.to_text(graph.graph).count(f"{SCAN_DOMAIN}.DiagonalScan") == 2


def of_layer(change) -> onnx.ModelProto:
    """The step dataflow graph of a model whose first layer's parameters are changed before it is written."""
    spec = network_spec(small_model(small_config())[1].network)
    change(next(call.does for call in spec.calls if isinstance(call.does, Recurrence)))
    return lower(network_graph(spec))


def forgets_at_once(layer):
    """Mode 0 of head 0: Ā is 0 and B̄ real, so that nothing ever reaches the imaginary part."""
    for constant in (*layer.a, layer.b[1]):
        constant.values[0, 0] = 0


def has_no_input(layer):
    for constant in layer.b:
        constant.values[:] = 0


def is_real(layer):
    for constant in (layer.a[1], layer.b[1], layer.c[1]):
        constant.values[:] = 0


@pytest.mark.parametrize("change", [forgets_at_once, has_no_input, is_real])
def test_parameters_of_zero_leave_a_diagonal_recurrence(change):
    """Thresholds out of a sum's reach say nothing about its shift, absent terms nothing about the layer's input."""
    dataflow = of_layer(change)
    values = small_codes(3).numpy()
    names = ["blocks.0.ssm", "blocks.0.add_quant", "blocks.1.ssm", "blocks.1.add_quant"]
    found = compare("DiagonalScan", run_steps(dataflow, values, names), run_whole(collapse(dataflow), values, names))
    assert (found.differing, found.first, found.sequences) == (0, "", 3)


def test_a_state_that_something_else_reads_is_named():
    """It would be a port that nothing feeds."""
    graph = lower(step_graph(small_model(small_config())[1].network))
    next(node for node in graph.graph.node if node.output[0] == "blocks.1.ssm.cx_im").input[0] = "blocks.1.ssm.x_im"
    with pytest.raises(ExportError, match=r"blocks\.1\.ssm_quant: reads the states of the step before"):
        collapse(graph)


def test_whole_sequences_go_through_qonnx_in_parts(graph):
    """More than qonnx gets at once, the last part not full."""
    codes = small_codes(11, seed=4).numpy()
    whole = run_whole(graph, codes, ["blocks.1.add_quant"])
    for k in (0, 7, 8, 10):
        one = run_whole(graph, codes[k : k + 1], ["blocks.1.add_quant"])
        assert all(np.array_equal(one[name][0], whole[name][k]) for name in ("decoder", "blocks.1.add_quant"))


def first_scan(model):
    return next(node for node in model.graph.node if node.op_type == "DiagonalScan")


def set_number(node, name, value):
    next(attribute for attribute in node.attribute if attribute.name == name).i = value


def replaced(name, change):
    def apply(model):
        tensor = next(tensor for tensor in model.graph.initializer if tensor.name == name)
        tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(change(numpy_helper.to_array(tensor))), name))

    return apply


def shifted_too_far(model):
    replaced("blocks.0.ssm_shift", lambda v: v + 40)(model)
    for note in model.graph.quantization_annotation:
        if note.tensor_name == "blocks.0.ssm_shift":
            note.quant_parameter_tensor_names[0].value = "UINT8"


FAULTS = {
    "scan-operands: c_re has the shape": replaced("blocks.0.ssm_c_re", lambda v: v[:, :1]),
    "scan-operands: d has the shape": replaced("blocks.1.ssm_d", lambda v: v[:1]),
    "scan-operands: a_re has the shape": replaced("blocks.0.ssm_a_re", lambda v: v.reshape(-1)),
    "scan-operands: a shift is no integer from 0": shifted_too_far,
    "scan-operands: state_bits is 70": lambda model: set_number(first_scan(model), "state_bits", 70),
    "operand-count: DiagonalScan has 8 of 9": lambda model: first_scan(model).input.pop(),
    "time-sum: sums blocks.1.add_quant": replaced("time_axes", lambda v: np.array([3])),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_one_fault_of_a_sequence_graph_is_one_rule(graph, fault):
    broken = onnx.ModelProto()
    broken.CopyFrom(graph)
    FAULTS[fault](broken)
    errors = [finding for finding in check_model(broken) if finding.severity == "error"]
    (found,) = [finding for finding in errors if finding.rule != "declared-type"]  # other axes, another shape
    assert f"{found.rule}: {found.message}".startswith(fault)


def test_operands_that_do_not_fit_are_refused_before_they_are_read():
    """The compiled loops check no bounds."""
    ones = {name: np.ones((2, 3), np.int64) for name in ("a_re", "a_im", "b_re", "b_im", "c_re", "c_im")}
    fitting = {**ones, "d": np.ones(2, np.int64), "shift": np.array([1])}
    u = np.ones((1, 4, 2), np.int64)
    assert scan(u, fitting, 8).shape == u.shape
    for name, wrong, message in (
        ("c_im", np.ones((2, 2)), "c_im has the shape"),
        ("d", np.ones(3), "d has the shape"),
        ("shift", np.array([1, 1]), "shift has the shape"),
        ("shift", np.array([-1]), "a shift is no integer"),
        ("a_re", np.full((2, 3), 2**56), "need more than 63 bits"),
    ):
        with pytest.raises(ExportError, match=message):
            scan(u, {**fitting, name: wrong}, 8)
    with pytest.raises(ExportError, match="of 5 channels"):
        scan(np.ones((1, 4, 5), np.int64), fitting, 8)
