"""What FINN's tidy-up leaves: types as qonnx infers them, shapes as ONNX does, and what contradicts them."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from foreign_graphs import QONNX, Graph
from onnx import TensorProto, helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.infer_datatypes import InferDataTypes
from ssmq_export.checks import check_model
from ssmq_export.checks.tidy import SAME, fits
from ssmq_export.checks.tidy_view import TidyView

SHAPE = (1, 4, 4, 4)


def one(op: str, kinds=("INT4",), out=SHAPE, annotated="INT7", shapes=(), **attributes) -> onnx.ModelProto:
    """Ports -> op -> y."""
    g = Graph(13)
    shapes = shapes or [SHAPE] * len(kinds)
    names = [g.input(f"u{k}", shape, kind) for k, (shape, kind) in enumerate(zip(shapes, kinds, strict=True))]
    return g.model([g.node(op, names, out, annotated, **attributes)])


SUMS = [
    (op, kinds)
    for op in ("MatMul", "Add", "Sub", "Mul")
    for kinds in (
        ("INT4", "INT4"),
        ("UINT4", "INT4"),
        ("INT4", "UINT4"),
        ("UINT4", "UINT4"),
        ("BINARY", "UINT2"),
        ("UINT4", "FLOAT32"),
        ("FLOAT32", "INT4"),
    )
]
POOL = {"kernel_shape": [1, 1], "strides": [1, 1], "pads": [0, 0, 0, 0]}
OTHERS = [
    ("Relu", "INT4", {}),
    ("Div", "INT4", {}),
    ("Sign", "INT4", {}),
    ("Softmax", "INT4", {}),
    ("Split", "INT4", {"axis": 1}),
    ("MaxPool", "INT4", {"kernel_shape": [1, 1]}),
    ("Transpose", "UINT4", {"perm": [0, 2, 3, 1]}),
    ("Identity", "FLOAT32", {}),
    ("MaxPoolNHWC", "INT4", {"domain": QONNX, **POOL}),
    ("QuantAvgPool2d", "INT4", {"domain": QONNX, "kernel": 1, "stride": 1, "ibits": 4, "obits": 5, "signed": 1}),
    ("QuantAvgPool2d", "UINT4", {"domain": QONNX, "kernel": 1, "stride": 1, "ibits": 4, "obits": 3, "signed": 0}),
]


def qonnx_types(model: onnx.ModelProto) -> dict[str, str]:
    wrapped = ModelWrapper(model).transform(InferDataTypes())
    return {name: wrapped.get_tensor_datatype(name).name for name in wrapped.get_all_tensor_names()}


@pytest.mark.parametrize(("op", "kinds"), SUMS)
def test_a_sum_or_product_has_the_type_that_qonnx_infers(op, kinds):
    model = one(op, kinds)
    assert TidyView(model).tidied.datatypes == qonnx_types(model)


@pytest.mark.parametrize(("op", "kind", "attributes"), OTHERS)
def test_an_operator_of_one_stream_has_the_type_that_qonnx_infers(op, kind, attributes):
    second = ("INT4",) if op == "Div" else ()
    model = one(op, (kind, *second), **attributes)
    assert TidyView(model).tidied.datatypes == qonnx_types(model)


@pytest.mark.parametrize("op", sorted(SAME - {"Im2Col", "MaxPoolNHWC"}))
def test_what_moves_elements_keeps_their_type(op):
    """qonnx asks for the first operand alone."""
    model = one(op, ("INT3", "INT8"))
    if op in ("Resize", "Upsample"):
        model.graph.node[0].attribute.append(helper.make_attribute("mode", "nearest"))
    assert TidyView(model).tidied.datatypes["t0_0"] == qonnx_types(model)["t0_0"] == "INT3"


@pytest.mark.parametrize(
    ("scale", "bias", "whole"),
    [(1.0, 0.0, True), (2.0, -1.0, True), (0.5, 0.0, False), (1.0, 0.5, False), (1.5, 0.5, False), (None, None, True)],
)
def test_thresholds_have_the_type_of_whole_steps(scale, bias, whole):
    g = Graph()
    y = g.threshold(g.input("u", (1, 4), "INT8"), [[0, 1, 3]], (1, 4), "UINT4", scale=scale or 1.0, bias=bias or 0.0)
    if scale is None:
        kept = [a for a in g.nodes[0].attribute if a.name not in ("out_scale", "out_bias")]
        del g.nodes[0].attribute[:]
        g.nodes[0].attribute.extend(kept)
    model = g.model([y])
    assert TidyView(model).tidied.datatypes[y] == qonnx_types(model)[y] == ("UINT4" if whole else "FLOAT32")


def test_types_of_ports_and_stored_constants_are_those_annotated():
    g = Graph()
    w = g.constant(np.ones((1, 4)), "INT3")
    plain = g.constant(np.ones((1, 4)), None)
    y = g.node("Add", [g.node("Add", [g.input("u", (1, 4), "UINT4"), w], (1, 4), "INT9"), plain], (1, 4), "INT10")
    found = TidyView(g.model([y])).tidied.datatypes
    assert found == {"u": "UINT4", w: "INT3", plain: "FLOAT32", "t0_0": "INT32", "t1_0": "FLOAT32"}


def folded() -> Graph:
    """Constants of every computed form, each added to the stream."""
    g = Graph(18)
    c = g.constant([[1, -2, 3, 4]], "INT4")
    two = g.constant([2, 2], None, np.int64)
    g.node("Neg", [c], (1, 4), "INT4", out=["negative"])
    g.node("Reshape", [c, two], (2, 2), None, out=["square"])
    g.node("Shape", ["u"], (2,), None, element=TensorProto.INT64, out=["shape"])
    g.node("Softmax", [c], (1, 4), None, out=["soft"])
    g.node("Add", [g.input("u", (1, 4), "UINT4"), "negative"], (1, 4), "INT9", out=["y"])
    return g


def test_nodes_of_constants_alone_are_folded_away():
    tidied = TidyView(folded().model(["y"])).tidied
    assert [node.op_type for node in tidied.nodes] == ["Add"]
    assert tidied.values["negative"].tolist() == [[-1, 2, -3, -4]]
    assert tidied.values["square"].tolist() == [[1, -2], [3, 4]]
    assert tidied.values["shape"].tolist() == [1, 4] and "soft" not in tidied.values
    assert tidied.datatypes["negative"] == "INT4"  # folded before types are inferred


def test_a_chain_of_constants_is_computed():
    g = folded()
    g.node("Neg", ["negative"], (1, 4), None, out=["positive"])
    g.node("Mul", ["positive", "negative"], (1, 4), None, out=["squares"])
    values = TidyView(g.model(["y"])).tidied.values
    assert values["squares"].tolist() == [[-1, -4, -9, -16]]


@pytest.mark.parametrize(
    ("node", "opset", "whole"),
    [
        (helper.make_node("Add", ["a", "b"], ["y"]), 18, True),
        (helper.make_node("Add", ["a"], ["y"]), 18, False),
        (helper.make_node("Add", ["a", ""], ["y"]), 18, False),
        (helper.make_node("Add", ["a", "b", "c"], ["y"]), 18, False),
        (helper.make_node("Add", ["a", "b"], []), 18, False),
        (helper.make_node("Add", ["a", "b"], ["y", "z"]), 18, False),
        (helper.make_node("Clip", ["a", "", "b"], ["y"]), 18, True),
        (helper.make_node("Squeeze", ["a", "b"], ["y"]), 13, True),
        (helper.make_node("Squeeze", ["a", "b"], ["y"]), 12, False),
        (helper.make_node("Nonsense", [], []), 18, True),
        (helper.make_node("Add", ["a"], ["y"], domain="com.example"), 18, True),
        (helper.make_node("Add", ["a"], ["y"], domain="ai.onnx"), 18, False),
    ],
)
def test_a_node_has_as_many_operands_and_results_as_its_definition(node, opset, whole):
    assert fits(node, opset) == whole


def contradicted(shape, element=TensorProto.FLOAT, op="Relu", domain="") -> list[str]:
    """Findings of declared-type where an inner tensor of (1, 4) floats is declared otherwise."""
    g = Graph()
    x = g.input("u", (1, 4), "INT4")
    x = g.node("Relu", [x], (1, 4), "UINT3") if op == "Relu" else g.threshold(x, [[0, 1, 3]], (1, 4))
    model = g.model([g.threshold(x, [[0, 1, 3]], (1, 4))])
    info = next(v for v in model.graph.value_info if v.name == x)
    info.CopyFrom(helper.make_tensor_value_info(x, element, shape))
    return [f.message for f in check_model(model) if f.rule == "declared-type"]


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((1, 4), []),
        (("n", 4), []),
        ((1, None), []),
        (None, []),
        ((1, 5), ["is declared [1, 5] and comes out as [1, 4]"]),
        (("n", 5), ["is declared [None, 5] and comes out as [1, 4]"]),
        ((2, "n"), ["is declared [2, None] and comes out as [1, 4]"]),
        ((4,), ["is declared [4] and comes out as [1, 4]"]),
        ((1, 4, 1), ["is declared [1, 4, 1] and comes out as [1, 4]"]),
    ],
)
@pytest.mark.parametrize("op", ["Relu", "MultiThreshold"])
def test_a_declared_shape_is_what_comes_out(op, shape, said):
    assert contradicted(shape, op=op) == said


def test_a_declared_container_is_what_comes_out_and_any_of_qonnxs():
    assert contradicted((1, 4), TensorProto.DOUBLE) == ["is declared DOUBLE and comes out as FLOAT"]
    assert contradicted((1, 4), TensorProto.UNDEFINED) == contradicted((1, 4), TensorProto.DOUBLE, "MultiThreshold") == []
    assert contradicted((1, 4), 99) == ["is declared 99 and comes out as FLOAT"]


def test_a_tensor_that_two_nodes_write_is_contradicted_by_each():
    g = Graph()
    x = g.node("Relu", [g.input("u", (1, 4), "INT4")], (1, 4), "UINT3")
    model = g.model([g.threshold(x, [[0, 1, 3]], (1, 4))])
    next(v for v in model.graph.value_info if v.name == x).type.tensor_type.elem_type = TensorProto.DOUBLE
    model.graph.node.add().CopyFrom(model.graph.node[0])
    found = [f.rule for f in check_model(model) if f.tensor == x]
    assert found.count("declared-type") == 2 and "duplicate-tensor" in found


def test_one_contradiction_is_told_once_and_what_follows_is_judged_as_inferred():
    g = Graph()
    x = g.node("Relu", [g.input("u", (1, 4), "INT4")], (1, 4), "UINT3")
    y = g.node("Relu", [x], (1, 4), "UINT3")
    model = g.model([g.threshold(y, [[0, 1, 3]], (1, 4))])
    next(v for v in model.graph.value_info if v.name == x).CopyFrom(helper.make_tensor_value_info(x, TensorProto.FLOAT, (1, 5)))
    assert [(f.rule, f.tensor) for f in check_model(model) if f.severity == "error"] == [("declared-type", x)]


def test_a_container_of_qonnxs_operators_follows_their_declaration():
    """Declared double, it goes on as double into a sum with floats, which ONNX refuses."""
    g = Graph()
    x = g.threshold(g.input("u", (1, 4), "INT4"), [[0, 1, 3]], (1, 4))
    y = g.node("Add", [x, g.input("v", (1, 4), "INT4")], (1, 4), "INT8")
    model = g.model([y])
    info = next(v for v in model.graph.value_info if v.name == x)
    info.type.tensor_type.elem_type = TensorProto.DOUBLE
    assert [f.rule for f in check_model(model) if f.severity == "error"] == ["join-shape"]
    assert [node.op_type for node, _ in TidyView(model).tidied.misfits] == ["Add"]


def test_shapes_follow_from_the_ports():
    g = Graph()
    x = g.node("Concat", [g.input("u", (1, 4), "INT4"), g.input("v", (1, 3), "INT4")], (1, 7), "INT4", axis=1)
    y = g.threshold(x, [[0, 1, 3]], (1, 7))
    tidied = TidyView(g.model([g.node("Relu", [y], (1, 7), "UINT2")], inner=False)).tidied
    assert tidied.shape(x) == tidied.shape(y) == [1, 7]


@pytest.mark.parametrize("op", ["Split", "Shape", "Add", "Concat", "MultiThreshold", "Reshape", "Neg"])
def test_an_operator_without_operands_or_results_is_left_alone(op):
    """operand-count names it."""
    for inputs, outputs in (([], ["y"]), (["u"], []), ([], [])):
        node = helper.make_node(op, inputs, outputs, domain=QONNX if op == "MultiThreshold" else "")
        port = helper.make_tensor_value_info("u", TensorProto.FLOAT, (1, 4))
        model = helper.make_model(
            helper.make_graph([node], "g", [port], []),
            opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid(QONNX, 1)],
        )
        rules = {f.rule for f in check_model(model)}
        assert "operand-count" in rules or op in ("Shape", "Neg"), rules
