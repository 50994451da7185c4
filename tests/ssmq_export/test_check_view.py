"""The indexed view of a graph: who makes and reads a tensor, what is constant, and what is declared of it."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from foreign_graphs import QONNX, Graph
from onnx import TensorProto, helper, numpy_helper
from ssmq_export.checks.conversion import Site
from ssmq_export.checks.tidy_view import TidyView

ROW = (1, 4)


def drawn() -> onnx.ModelProto:
    """u, v -> Add -> MultiThreshold (levels), Relu; of one constant as a node and one as an initialiser."""
    g = Graph()
    x = g.node("Add", [g.input("u", ROW, "INT4"), g.input("v", ROW, "INT3")], ROW, "INT5", out=["sum"])
    g.node("MultiThreshold", [x, g.constant([[0, 1]], "INT8", name="levels")], ROW, "UINT2", domain=QONNX, out=["counts"])
    g.node("Relu", [x], ROW, "UINT4", out=["positive"])
    g.node("Mul", ["positive", g.constant([[2]], None, name="two")], ROW, "INT8", out=["twice"])
    model = g.model(["counts", "twice", "positive"], static_inputs=True)
    model.graph.quantization_annotation[0].quant_parameter_tensor_names.add(key="tensor_layout", value="['N', 'C']")
    return model


def test_producers_consumers_and_ports_are_by_name():
    view = TidyView(drawn())
    assert {name: [n.op_type for n in nodes] for name, nodes in view.producers.items()} == {
        "sum": ["Add"], "counts": ["MultiThreshold"], "positive": ["Relu"], "twice": ["Mul"],
    }  # fmt: skip
    assert {name: [n.op_type for n in nodes] for name, nodes in view.consumers.items()} == {
        "u": ["Add"], "v": ["Add"], "sum": ["MultiThreshold", "Relu"], "levels": ["MultiThreshold"], "positive": ["Mul"], "two": ["Mul"],
    }  # fmt: skip
    assert (view.inputs, view.outputs) == (["u", "v"], ["counts", "twice", "positive"])
    assert view.layouts == {"u": ["N", "C"]} and view.datatypes["u"] == "INT4" and "two" not in view.datatypes


def test_a_node_is_called_by_its_name_or_by_what_it_makes():
    node = helper.make_node("Relu", ["x"], ["y", "z"])
    view = TidyView(drawn())
    assert (view.label(node), view.output(node)) == ("Relu -> y", "y")
    node.name = "n"
    assert view.label(node) == "n"
    assert view.output(helper.make_node("Relu", ["x"], [])) == ""


def test_empty_names_are_no_tensors():
    view = TidyView(helper.make_model(helper.make_graph([helper.make_node("Clip", ["x", "", "m"], ["", "y"])], "g", [], [])))
    assert set(view.producers) == {"y"} and set(view.consumers) == {"x", "m"}


@pytest.mark.parametrize(
    ("tensor", "copied"),
    [("u", False), ("sum", True), ("positive", True), ("twice", False), ("counts", False), ("nothing", False)],
)
def test_a_tensor_is_copied_if_it_is_read_twice_or_read_and_an_output(tensor, copied):
    assert TidyView(drawn()).is_copied(tensor) == copied


def test_the_last_makes_an_output_that_nothing_reads():
    view = TidyView(drawn())
    assert [node.op_type for node in view.nodes if view.is_last(node)] == ["MultiThreshold", "Mul"]


@pytest.mark.parametrize(
    ("imports", "opset"),
    [({"": 17}, 17), ({"ai.onnx": 16}, 16), ({"com.example": 3}, 1), ({}, 1), ({"": -4}, 1), ({"": 2}, 2), ({"": 1}, 1)],
)
def test_the_version_is_that_of_the_standard_operators(imports, opset):
    model = drawn()
    del model.opset_import[:]
    model.opset_import.extend(helper.make_opsetid(domain, version) for domain, version in imports.items())
    assert TidyView(model).opset == opset


@pytest.mark.parametrize(
    ("shape", "found"),
    [((1, 4), [1, 4]), ((), []), ((1, "n"), None), ((1, 0), None), ((1, -2), None), (None, None), ((1, None), None)],
)
def test_a_shape_is_static_or_none(shape, found):
    g = Graph()
    g.input("x", shape, "INT4")
    y = g.node("Relu", ["x"], ROW, "UINT4")
    view = TidyView(g.model([y]))
    assert view.shape("x") == found and view.shape("nowhere") is None


def test_a_port_of_another_kind_has_no_shape():
    model = drawn()
    model.graph.input[0].type.CopyFrom(helper.make_sequence_type_proto(helper.make_tensor_type_proto(1, ROW)))
    assert TidyView(model).shape("u") is None
    assert TidyView(drawn()).shape("levels") == [1, 2]


def constants() -> Graph:
    """Constants of every kind and a stream."""
    g = Graph()
    u = g.input("u", ROW, "INT4")
    g.constant([[1, 2, 3, 4]], "INT4", name="stored")
    g.nodes.append(helper.make_node("Constant", [], ["node"], value_floats=[1.0, 2.0]))
    g.node("Neg", ["stored"], ROW, None, out=["negative"])
    g.node("Softmax", ["stored"], ROW, None, out=["soft"])
    g.node("Shape", [u], (2,), None, out=["shape"], element=TensorProto.INT64)
    g.node("Add", [u, "negative"], ROW, "INT5", out=["stream"])
    g.constants.append(numpy_helper.from_array(np.array(["a"], object), "text"))
    g.node("Identity", ["text"], (1,), None, out=["same"], element=TensorProto.STRING)
    g.node("Add", ["stream", "soft"], ROW, "INT6", out=["y"])
    return g


def test_values_are_given_or_computed_and_numbers_or_not():
    view = TidyView(constants().model(["y"]))
    assert [view.given(name) is not None for name in ("stored", "node", "negative", "u", "stream", "soft")] == [
        True,
        True,
        False,
        False,
        False,
        False,
    ]
    assert view.array("negative").tolist() == [[-1, -2, -3, -4]] and view.array("node").tolist() == [1, 2]
    assert view.given("text").tolist() == ["a"] and view.numbers("text") is None and view.numbers("soft") is None
    assert view.numbers("shape").tolist() == [1, 4] and view.numbers("negative") is not None
    assert view.given("stored") is view.given("stored")


@pytest.mark.parametrize("dtype", [np.float32, np.int8, np.uint8, bool])
def test_numbers_are_of_every_kind_that_compares(dtype):
    g = Graph()
    y = g.node("Add", [g.input("u", ROW, "INT4"), g.constant([[1, 0, 1, 1]], None, dtype, name="c")], ROW, "INT5")
    assert TidyView(g.model([y])).numbers("c").tolist() == [[1, 0, 1, 1]]


def test_a_complex_constant_holds_no_numbers():
    g = Graph()
    y = g.node("Add", [g.input("u", ROW, "INT4"), g.constant([[1, 2, 3, 4]], None, np.complex64, name="c")], ROW, "INT5")
    assert TidyView(g.model([y])).numbers("c") is None


def test_what_is_made_of_constants_alone_is_constant():
    model = constants().model(["y"])
    model.graph.sparse_initializer.append(
        helper.make_sparse_tensor(
            numpy_helper.from_array(np.ones(1, np.float32), "thin"), numpy_helper.from_array(np.array([0])), [4]
        )
    )
    view = TidyView(model)
    constant = {"stored", "node", "negative", "soft", "shape", "text", "same", "thin"}
    assert {name for name in [*constant, "u", "stream", "y", "nowhere"] if view.is_constant(name)} == constant


def test_the_shape_of_a_shapeless_tensor_is_no_constant():
    g = Graph()
    g.node("Shape", [g.input("u", (1, "n"), "INT4")], (2,), None, out=["shape"], element=TensorProto.INT64)
    assert not TidyView(g.model(["shape"])).is_constant("shape")


@pytest.mark.parametrize(
    "op", ["Quant", "IntQuant", "BipolarQuant", "FloatQuant", "Trunc", "QuantizeLinear", "DequantizeLinear", "Relu"]
)
def test_a_graph_is_lowered_when_no_quantizer_is_left(op):
    g = Graph()
    w = g.node(op, [g.constant(np.ones(ROW), None)], ROW, None, domain=QONNX)
    x = g.node(op, [g.input("u", ROW, "INT4")], ROW, None, domain=QONNX)
    view = TidyView(g.model([g.node("Add", [x, w], ROW, "INT5")]))
    named = 2 if op in ("Quant", "IntQuant") else 0
    assert view.lowered == (op == "Relu") and len(view.quants) == named and len(view.weight_quants) == named // 2


def test_a_quant_without_operands_is_of_no_parameter():
    model = helper.make_model(helper.make_graph([helper.make_node("Quant", [], ["y"], domain=QONNX)], "g", [], []))
    assert TidyView(model).weight_quants == []


def site(op: str) -> Site:
    view = TidyView(drawn())
    return Site(view, next(node for node in view.nodes if node.op_type == op))


def test_a_condition_sees_operands_results_and_neighbours():
    add, levels, relu = site("Add"), site("MultiThreshold"), site("Relu")
    assert (add.shape(0), add.shape(1), add.shape(2), add.result()) == ([1, 4], [1, 4], None, [1, 4])
    assert (levels.shape(1), levels.datatype(0), levels.datatype(1), levels.datatype(2)) == ([1, 2], "INT32", "INT8", "")
    assert (levels.hardware_type(0), levels.hardware_type(1), levels.hardware_type(2), add.datatype(), add.datatype(1)) == (
        "INT32",
        "INT8",
        "",
        "INT4",
        "INT3",
    )
    assert (levels.is_constant(1), levels.is_constant(0), levels.is_constant(2), levels.constant(2)) == (
        True,
        False,
        False,
        None,
    )
    assert (
        add.producer is None
        and relu.producer.op_type == "Add"
        and [n.op_type for n in add.readers()] == ["MultiThreshold", "Relu"]
    )
    assert add.only_reader is None and relu.only_reader is None and levels.only_reader is None
    assert (add.is_output(), relu.is_output(), levels.is_output()) == (False, True, True)
    assert (add.is_first(), relu.is_first()) == (True, False)


@pytest.mark.parametrize(
    ("values", "dtype", "found"),
    [
        ([[1], [2]], np.int64, [1, 2]),
        ([1], np.uint8, [1]),
        ([1.0], np.float32, None),
        ([0] * 64, np.int64, [0] * 64),
        ([0] * 65, np.int64, None),
    ],
)
def test_a_list_is_of_a_few_integers(values, dtype, found):
    g = Graph()
    y = g.node("Gather", [g.input("u", ROW, "INT4"), g.constant(values, None, dtype)], ROW, "INT4")
    view = TidyView(g.model([y]))
    assert Site(view, view.nodes[0]).listed(1) == found
    assert Site(view, view.nodes[0]).listed(0) is None and Site(view, view.nodes[0]).listed(2) is None
