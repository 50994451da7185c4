"""Rules of containers, widths and layout, condition by condition."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from findings import said, severities
from foreign_graphs import QONNX, Graph
from onnx import TensorProto, helper, numpy_helper

OURS = "ssmq_export.custom_op"
ROW = (1, 4)


def quantized(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same, to be judged as a float graph."""
    model.graph.node.append(helper.make_node("Quant", ["u", "u", "u", "u"], ["q"], domain=QONNX, name="q"))
    return model


def relus(datatype: str, count=1, op="Relu", domain="") -> onnx.ModelProto:
    """u -> Relu ... -> ``t0_0``, ``t1_0`` ... of a type."""
    g = Graph()
    g.domains.add(domain)
    x = g.input("u", ROW, "INT4")
    for _ in range(count):
        x = g.node(op, [x], ROW, datatype, domain=domain)
    return g.model([x])


WIDEST = {TensorProto.BFLOAT16: 8, TensorProto.FLOAT16: 11, TensorProto.FLOAT: 24, TensorProto.DOUBLE: 53}


@pytest.mark.parametrize("element, exact", WIDEST.items())
@pytest.mark.parametrize("name", ["u", "t0_0"])
def test_a_container_holds_every_integer_of_its_tensor(name, element, exact):
    """A float of n bits of significand holds -2**n .. 2**n: INT(n + 1) and UINT(n), and of those n is in IEEE 754."""
    for datatype, fits in (
        (f"INT{exact + 1}", True),
        (f"INT{exact + 2}", False),
        (f"UINT{exact}", True),
        (f"UINT{exact + 1}", False),
    ):
        model = relus(datatype)
        for found in (*model.graph.input, *model.graph.output):
            found.type.tensor_type.elem_type = element
        for entry in model.graph.quantization_annotation:
            entry.quant_parameter_tensor_names[0].value = datatype if entry.tensor_name == name else "INT2"
        told = [("" if name == "u" else "Relu_0", name, f"is {datatype}, in a container exact to {exact} bits")]
        assert said(model, "accumulator-width") == ([] if fits else told)
        assert severities(model, "accumulator-width") <= {"error"}


@pytest.mark.parametrize("op, domain, told", [("DiagonalScan", OURS, True), ("Relu", "", True), ("Mish", "", False)])
def test_of_what_finn_does_not_stream_no_container_is_judged(op, domain, told):
    model = relus("INT32", op=op, domain=domain)
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT16
    assert bool(said(model, "accumulator-width")) is told


def test_an_integer_container_and_a_tensor_that_is_not_declared_are_exact():
    model = relus("INT32")
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.INT32
    assert said(model, "accumulator-width") == []
    inner = relus("INT32", 2)
    del inner.graph.value_info[:]
    assert [tensor for _, tensor, _ in said(inner, "accumulator-width")] == ["t1_0"]


@pytest.mark.parametrize("rank", range(6))
def test_the_first_input_has_two_to_four_dimensions(rank):
    g = Graph()
    shape = (1,) * rank
    x = g.node("Add", [g.input("u", shape, "INT4"), g.input("v", (1,) * 7, "INT4")], (1,) * 7, "INT8")
    model = g.model([x])
    assert said(model, "layout") == ([] if 2 <= rank <= 4 else [("", "u", f"has {rank} dimensions")])
    assert severities(model, "layout") <= {"error"} and said(quantized(model), "layout") == []


def test_a_graph_without_inputs_or_shapes_has_no_layout():
    for shape in (("n", 4), None):
        model = relus("INT8")
        del model.graph.input[:]
        if shape:
            model.graph.input.append(helper.make_tensor_value_info("u", TensorProto.FLOAT, shape))
        assert said(model, "layout") == []


def contained(**elements: int) -> onnx.ModelProto:
    """A chain of Relus with results of these names, each in this container."""
    g = Graph()
    x = g.input("u", ROW, "INT8")
    for name, element in elements.items():
        x = g.node("Relu", [x], ROW, "INT8", element=element, out=[name])
    return g.model([x])


FLOATS = {"a": TensorProto.FLOAT, "b": TensorProto.UNDEFINED, "y": TensorProto.FLOAT}


@pytest.mark.parametrize(
    "elements, told",
    [
        (FLOATS, None),
        ({**FLOATS, "a": TensorProto.DOUBLE}, ("a", "DOUBLE", 0)),
        ({**FLOATS, "a": TensorProto.DOUBLE, "b": TensorProto.INT8}, ("a", "DOUBLE", 1)),
        ({**FLOATS, "b": 99}, ("b", "99", 0)),
    ],
)
def test_finn_keeps_integers_in_float32(elements, told):
    model = contained(**elements)
    found = [("", told[0], f"is stored as {told[1]}, and {told[2]} further tensors are not float32")] if told else []
    assert said(model, "float32-container") == found and severities(model, "float32-container") <= {"warning"}
    for entry in model.graph.quantization_annotation:
        entry.quant_parameter_tensor_names[0].value = "FLOAT32"
    assert said(model, "float32-container") == []


def test_of_a_float_graph_no_container_is_asked():
    assert said(quantized(contained(a=TensorProto.DOUBLE)), "float32-container") == []


@pytest.mark.parametrize(
    "datatype, told",
    [("INT8191", False), ("INT8192", True), ("UINT8191", False), ("UINT8192", True), ("BIPOLAR", False), ("FLOAT32", False)],
)
def test_no_element_is_wider_than_an_hls_integer(datatype, told):
    model = relus(datatype)
    entry = onnx.StringStringEntryProto(key="finn_datatype", value="INT9000")  # a constant is no stream
    model.graph.initializer.append(numpy_helper.from_array(np.ones(1, np.float32), "c"))
    model.graph.quantization_annotation.append(onnx.TensorAnnotation(tensor_name="c", quant_parameter_tensor_names=[entry]))
    found = [("", "t0_0", f"is {datatype}: one element is wider than 8191 bits")] if told else []
    assert said(model, "stream-width") == found and severities(model, "stream-width") <= {"warning"}
