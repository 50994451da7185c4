"""The listed integer graphs of foreign make, and what FINN does with each."""

from __future__ import annotations

import numpy as np
import onnx
from foreign_graphs import Graph
from onnx import TensorProto, helper, numpy_helper

ROW = [[-2, 0, 3]]
VECTOR = (1, 4)


def layer(**change) -> onnx.ModelProto:
    """u -> MatMul -> MultiThreshold."""
    g = Graph()
    x = g.input("u", (1, 3), "INT4")
    s = g.node("MatMul", [x, g.constant(np.ones((3, 4)), "INT4", name="w")], VECTOR, "INT8")
    return g.model([g.threshold(s, ROW, VECTOR)], **change)


def thresholds(datatype="UINT2", shape=VECTOR, values=ROW, **change) -> onnx.ModelProto:
    g = Graph()
    return g.model([g.threshold(g.input("u", shape, "INT8"), values, shape, datatype, **change)])


def two_heads(op: str, shape, **attributes) -> onnx.ModelProto:
    g = Graph()
    x = g.input("u", VECTOR, "INT8")
    heads = [g.threshold(x, ROW, VECTOR), g.threshold(x, [[-1, 1, 2]], VECTOR)]
    return g.model([g.node(op, heads, shape, "UINT2", **attributes)])


def split(axis: int) -> onnx.ModelProto:
    g = Graph()
    shape, part = ((2, 4), 1) if axis == 0 else ((1, 8), 4)
    sizes = g.constant([part, part], None, np.int64)
    left, right = g.node("Split", [g.input("u", shape, "INT4"), sizes], [VECTOR, VECTOR], "INT4", axis=axis)
    return g.model([g.node("Add", [left, right], VECTOR, "INT5")])


def single(op: str, shape=VECTOR, out=VECTOR, *constants, datatype="INT4", kind=TensorProto.FLOAT, opset=17, **attributes):
    """u -> op -> MultiThreshold, for data that may be unsigned."""
    g = Graph(opset)
    operands = [g.input("u", shape, "INT4"), *(g.constant(*c) for c in constants)]
    y = g.node(op, operands, out, datatype, element=kind, **attributes)
    return g.model([g.threshold(y, [[0, 1, 3]], out)] if kind == TensorProto.FLOAT else [y])


def weight_of_rank_3() -> onnx.ModelProto:
    g = Graph()
    w = g.constant(np.ones((1, 3, 4)), "INT4")
    s = g.node("MatMul", [g.input("u", (1, 2, 3), "INT4"), w], (1, 2, 4), "INT8")
    return g.model([g.threshold(s, ROW, (1, 2, 4), layout="NWC")])


def add_to_itself() -> onnx.ModelProto:
    g = Graph()
    a = g.threshold(g.input("u", VECTOR, "INT8"), ROW, VECTOR)
    return g.model([g.node("Add", [a, a], VECTOR, "UINT3")])


def passed_through() -> onnx.ModelProto:
    model = thresholds()
    model.graph.output.append(model.graph.input[0])
    return model


def local_function() -> onnx.ModelProto:
    g = Graph()
    body = [helper.make_node("Softmax", ["x"], ["y"], axis=-1)]
    g.functions.append(helper.make_function("my.blocks", "SoftBlock", ["x"], ["y"], body, [helper.make_opsetid("", 17)]))
    g.domains.add("my.blocks")
    x = g.input("u", VECTOR, "INT8")
    return g.model([g.threshold(g.node("SoftBlock", [x], VECTOR, "UINT2", domain="my.blocks"), ROW, VECTOR)])


def unknown_domain() -> onnx.ModelProto:
    g = Graph()
    x = g.node("Whatever", [g.input("u", VECTOR, "INT8")], VECTOR, "INT8", domain="finn.custom_op.mystery")
    return g.model([g.threshold(x, ROW, VECTOR)])


def labels() -> onnx.ModelProto:
    g = Graph()
    s = g.node("MatMul", [g.input("u", (1, 3), "INT4"), g.constant(np.ones((3, 4)), "INT4")], VECTOR, "INT8")
    k = g.constant([1], None, np.int64)
    _, indices = g.node("TopK", [s, k], [(1, 1), (1, 1)], ["INT8", "UINT2"], axis=-1)
    g.infos[indices].type.tensor_type.elem_type = TensorProto.INT64
    return g.model([indices])


def version(opset=None, ir=None) -> onnx.ModelProto:
    model = layer()
    model.opset_import[0].version = opset or model.opset_import[0].version
    model.ir_version = ir or model.ir_version
    return model


def make_sparse(model: onnx.ModelProto) -> onnx.ModelProto:
    for tensor in [t for t in model.graph.initializer if t.name == "w"]:
        model.graph.initializer.remove(tensor)
    values = numpy_helper.from_array(np.ones(3, np.float32), "w")
    places = numpy_helper.from_array(np.array([0, 5, 10]), "places")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, [3, 4]))
    return model


INDICES = ([0, 3, 2, 5], None, np.int64)
# Name: the graph, and what its findings must say; nothing where FINN maps it.
INTEGER = {
    "a layer": (layer(), ""),
    "a signed count from a negative bias": (thresholds("INT4", bias=-2.0), ""),
    "a signed count from 0": (thresholds("INT4"), "threshold-output signed below 0"),
    "Concat of channels": (two_heads("Concat", (1, 8), axis=1), ""),
    "Concat of vectors": (two_heads("Concat", (2, 4), axis=0), "conversion axis 0 last"),
    "Split of channels": (split(1), ""),
    "Split of vectors": (split(0), "conversion axis 0 last"),
    "Pad of two dimensions": (
        single("Pad", (1, 2), VECTOR, ([0, 1, 0, 1], None, np.int64)),
        "conversion pads 2 dimensions four",
    ),
    "Gather of channels": (single("Gather", (1, 8), VECTOR, INDICES, axis=1), "conversion axis 1 height and width"),
    "a weight of three dimensions": (weight_of_rank_3(), "conversion weight [1, 3, 4] first two dimensions"),
    "a port of one dimension": (thresholds(shape=(4,)), "layout 1 dimensions"),
    "a tensor added to itself": (add_to_itself(), "same-operand read twice"),
    "no levels": (thresholds("UINT1", values=np.zeros((1, 0))), "threshold-shape no level"),
    "an input as output": (passed_through(), "passed-through an output an input too"),
    "a function of the file": (local_function(), "local-function SoftBlock inline"),
    "thresholds in the standard domain": (thresholds(domain=""), "known-domain qonnx.custom_op.general"),
    "a foreign FINN domain": (unknown_domain(), "known-domain finn.custom_op.mystery"),
    "labels": (labels(), ""),
    "Relu": (single("Relu", datatype="UINT3"), ""),
    "Div by a constant": (single("Div", VECTOR, VECTOR, ([[2]], "UINT2")), ""),
    "constants as nodes": (layer(constant_nodes=True), ""),
    "constants as inputs": (layer(static_inputs=True), ""),
    "a sparse weight": (make_sparse(layer()), "sparse-constant sparse dense"),
    "opset 99": (version(opset=99), ""),
    "IR 99": (version(ir=99), ""),
}
