"""Rules of MultiThreshold nodes, condition by condition.

What fits is FINN's: ``Thresholding`` searches rows that ascend, one for each channel or one for all, and takes its output
type from out_dtype, which must hold out_bias + the count; a signed type wants a negative bias.
"""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from findings import said, severities
from foreign_graphs import QONNX, Graph

RISING = [[0, 1, 2]]


def count(values=RISING, shape=(1, 4), *, behind: str | None = None, **attributes) -> onnx.ModelProto:
    """u -> MultiThreshold with the constant c0, or u -> ``behind`` -> MultiThreshold."""
    g = Graph()
    t, x = g.constant(values, "INT16"), g.input("u", shape, "INT8")
    if behind:
        x = g.node(behind, [x, g.constant(np.ones((shape[-1], shape[-1])), "INT2")], shape, "INT16")
    return g.model([g.node("MultiThreshold", [x, t], shape, "UINT2", domain=QONNX, out=["y"], data_layout="NC", **attributes)])


def messages(model, rule, tensor="c0"):
    found = said(model, rule)
    assert all((node, name) == (model.graph.node[-1].name, tensor) for node, name, _ in found)
    return [message for _, _, message in found]


FITTING = {"out_dtype": "UINT2"}


@pytest.mark.parametrize(
    "values, expected",
    [
        ([[0, 1, 2, 3]], None),
        ([[1, 1, 1, 1]], None),
        ([[1, 0, 2, 3]], (1, 0)),
        ([[0, 1, 3, 2]], (1, 0)),
        ([[0, 2, 1, 3]], (1, 0)),
        ([[0, 1, 2, 3], [0, 2, 1, 3], [9, 9, 9, 9], [3, 2, 1, 0]], (2, 1)),
        ([3, 2, 1, 0], None),  # threshold-shape
        ([[0]], None),
    ],
)
def test_thresholds_ascend_in_every_channel(values, expected):
    model = count(values, **FITTING)
    text = [f"does not ascend in {expected[0]} channels, first {expected[1]}"] if expected else []
    assert messages(model, "threshold-order") == text and severities(model, "threshold-order") <= {"error"}


def test_constants_of_other_operators_are_no_thresholds():
    g = Graph()
    x = g.node("MatMul", [g.input("u", (1, 2), "INT4"), g.constant([[3, 2], [1, 0]], "INT4")], (1, 2), "INT8")
    model = g.model([g.node("Mul", [x, g.constant([1, 2], "INT4")], (1, 2), "INT8")])
    assert said(model, "threshold-order") == said(model, "threshold-shape") == []


@pytest.mark.parametrize("rule", ["threshold-order", "threshold-shape", "threshold-output", "threshold-count"])
def test_a_threshold_node_without_thresholds_is_no_rule_s_of_theirs(rule):
    model = count()
    del model.graph.node[0].input[1]
    assert said(model, rule) == [] and said(model, "operand-count")


@pytest.mark.parametrize(
    "shape, data, expected",
    [
        ((1, 3), (1, 4), None),
        ((1, 1), (1, 4), None),
        ((4, 3), (1, 4), None),
        ((4, 3), (3, 4), None),
        ((3, 3), (3, 4), "has the shape [3, 3] for 4 channels"),
        ((2, 3), (1, 4), "has the shape [2, 3] for 4 channels"),
        ((0, 3), (1, 4), "has the shape [0, 3] for 4 channels"),
        ((3,), (1, 4), "has the shape [3] for 4 channels"),
        ((1, 1, 3), (1, 4), "has the shape [1, 1, 3] for 4 channels"),
        ((4, 0), (1, 4), "holds no level at all"),
        ((4, 3), (1, 5, 4), None),
        ((5, 3), (1, 5, 4), "has the shape [5, 3] for 4 channels"),
        ((2, 3), (), None),  # of no channels: other rules
    ],
)
def test_thresholds_have_a_row_for_each_channel_or_one(shape, data, expected):
    model = count(np.zeros(shape), data, **FITTING)
    assert messages(model, "threshold-shape") == ([expected] if expected else [])
    assert severities(model, "threshold-shape") <= {"error"}


def unread(model):
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="far")
    return model


def test_thresholds_stored_elsewhere_are_judged_by_their_shape():
    wrong = ["has the shape [2, 3] for 4 channels"]
    assert messages(unread(count(np.zeros((2, 3)), **FITTING)), "threshold-shape") == wrong
    assert messages(unread(count(np.zeros((4, 3)), **FITTING)), "threshold-shape") == []


def computed(source: str) -> onnx.ModelProto:
    """Thresholds that come from a port or a node, with too few rows, from a Constant node, or from nowhere."""
    g = Graph()
    operands = [g.input("u", (1, 4), "INT8"), "t"]
    if source == "port":
        g.input("t", (2, 3), "INT8")
    elif source == "node":
        g.node("Relu", [g.input("v", (2, 3), "INT8")], (2, 3), "INT8", out=["t"])
    elif source == "Constant":
        g.node("Constant", [], (1, 3), "INT8", out=["t"], value=onnx.numpy_helper.from_array(np.float32(RISING)))
    return g.model([g.node("MultiThreshold", operands, (1, 4), "UINT2", domain=QONNX, data_layout="NC", **FITTING)])


@pytest.mark.parametrize("source", ["port", "node", "Constant", "nowhere"])
def test_thresholds_are_constant(source):
    wrong = ["holds thresholds that are computed, not constant"] if source in ("port", "node") else []
    assert messages(computed(source), "threshold-shape", "t") == wrong


SIGNED = "FINN wants it below 0, or an unsigned type"
OUTPUTS = [
    (3, {"out_dtype": "UINT2"}, None),  # without out_scale 1, without out_bias 0
    (3, {"out_dtype": "UINT2", "out_scale": 1.0, "out_bias": 0.0}, None),
    (3, {"out_dtype": "UINT2", "out_scale": 2.0}, "has out_scale 2.0 and out_bias 0.0"),
    (3, {"out_dtype": "UINT2", "out_bias": 0.5}, "has out_scale 1.0 and out_bias 0.5"),
    (3, {"out_dtype": "UINT2", "out_bias": "x"}, "has out_scale 1.0 and out_bias nan"),
    (3, {"out_dtype": "UINT2", "out_scale": "x"}, "has out_scale nan and out_bias 0.0"),
    (3, {}, "has the out_dtype none"),
    (3, {"out_dtype": "FLOAT32"}, "has the out_dtype FLOAT32"),
    (4, {"out_dtype": "UINT2"}, "counts 0 .. 4, outside UINT2"),
    (3, {"out_dtype": "UINT2", "out_bias": 1.0}, "counts 1 .. 4, outside UINT2"),
    (3, {"out_dtype": "UINT2", "out_bias": -1.0}, "counts -1 .. 2, outside UINT2"),
    (2, {"out_dtype": "UINT2", "out_bias": 1.0}, None),
    (7, {"out_dtype": "INT3", "out_bias": -4.0}, None),
    (7, {"out_dtype": "INT3", "out_bias": -5.0}, "counts -5 .. 2, outside INT3"),
    (7, {"out_dtype": "INT3", "out_bias": -3.0}, "counts -3 .. 4, outside INT3"),
    (3, {"out_dtype": "INT3", "out_bias": -1.0}, None),
    (3, {"out_dtype": "INT3"}, f"is signed (INT3) and counts from out_bias 0: {SIGNED}"),
    (2, {"out_dtype": "INT3", "out_bias": 1.0}, f"is signed (INT3) and counts from out_bias 1: {SIGNED}"),
    (1, {"out_dtype": "TERNARY"}, f"is signed (TERNARY) and counts from out_bias 0: {SIGNED}"),
    (2, {"out_dtype": "TERNARY", "out_bias": -1.0}, None),
]


@pytest.mark.parametrize("levels, attributes, expected", OUTPUTS)
def test_the_output_type_holds_every_level(levels, attributes, expected):
    model = count(np.zeros((4, levels)), **attributes)
    assert messages(model, "threshold-output", "y") == ([expected] if expected else [])
    assert severities(model, "threshold-output") <= {"error"}


@pytest.mark.parametrize("bias, fits", [(1.0, True), (2.0, False)])
def test_of_thresholds_that_are_no_table_no_level_is_counted(bias, fits):
    """Whatever the levels are, the bias alone must lie in the type."""
    model = count(np.zeros(3), out_dtype="UINT1", out_bias=bias)
    assert messages(model, "threshold-output", "y") == ([] if fits else ["counts 2 .. 2, outside UINT1"])


BIPOLAR = ["is BIPOLAR, which FINN makes only right behind a MatMul, with out_scale 2 and out_bias -1"]


@pytest.mark.parametrize(
    "behind, scale, bias, fits",
    [
        ("MatMul", 2.0, -1.0, True),
        ("MatMul", 1.0, -1.0, False),
        ("MatMul", 2.0, 0.0, False),
        ("Mul", 2.0, -1.0, False),
        (None, 2.0, -1.0, False),
    ],
)
def test_bipolar_is_made_in_an_mvau_only(behind, scale, bias, fits):
    model = count([[0]], (4, 4), behind=behind, out_dtype="BIPOLAR", out_scale=scale, out_bias=bias)
    assert messages(model, "threshold-output", "y") == ([] if fits else BIPOLAR)


@pytest.mark.parametrize("levels, told", [(255, False), (256, True)])
def test_more_than_eight_bits_of_levels_are_warned_of(levels, told):
    model = count(np.zeros((1, levels)), out_dtype="UINT9")
    assert messages(model, "threshold-count") == (["has 256 levels a channel"] if told else [])
    assert severities(model, "threshold-count") <= {"warning"}
    assert said(count(np.zeros(300), out_dtype="UINT9"), "threshold-count") == []  # no table: threshold-shape


def difference(op="Sub", second=("MultiThreshold", "u")) -> onnx.ModelProto:
    """A count of u, less (or plus) what ``second`` makes of its tensor; both with the same thresholds."""
    g = Graph()
    g.input("u", (1, 4), "INT8"), g.input("v", (1, 4), "INT8")
    t = g.constant(RISING, "INT4")
    kind, data = second

    def node(kind, data):
        more = {"domain": QONNX, "data_layout": "NC", **FITTING} if kind == "MultiThreshold" else {}
        return g.node(kind, [data, t] if more else [data], (1, 4), "UINT2", **more)

    left = node("MultiThreshold", "u")
    return g.model([g.node(op, [left, node(kind, data)], (1, 4), "INT4", out=["y"])])


TABLE = "is a non-monotone function, lowered as a table"


@pytest.mark.parametrize(
    "op, second, table",
    [
        ("Sub", ("MultiThreshold", "u"), True),
        ("Sub", ("MultiThreshold", "v"), False),
        ("Sub", ("Relu", "u"), False),
        ("Add", ("MultiThreshold", "u"), False),
    ],
)
def test_two_counts_of_the_same_data_one_less_the_other_are_a_table(op, second, table):
    model = difference(op, second)
    assert said(model, "table") == ([(model.graph.node[-1].name, "y", TABLE)] if table else [])
    assert severities(model, "table") <= {"info"}


def test_counts_of_nothing_are_no_table():
    model = difference()
    for node in model.graph.node[:2]:
        del node.input[:]
    assert said(model, "table") == []


def test_a_node_that_is_marked_is_a_table():
    model = count(**FITTING)
    model.graph.node[0].metadata_props.add(key="ssmq.format", value="")
    assert said(model, "table") == []
    model.graph.node[0].metadata_props.add(key="ssmq.non_monotone", value="")
    assert said(model, "table") == [(model.graph.node[0].name, "y", TABLE)]
