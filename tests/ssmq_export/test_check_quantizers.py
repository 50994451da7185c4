"""Rules of Quant nodes, of the grids that they make, and of what a MatMul may read of a float graph, condition by condition."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from findings import said, severities
from foreign_graphs import QONNX, Graph
from onnx import TensorProto, helper

ROW = (1, 4)
SETTINGS = {"signed": 1, "narrow": 0}
NUMBERS = {"s": 0.25, "z": 0.0, "b": 4.0}


def quant(*, op="Quant", operands=4, **change) -> onnx.ModelProto:
    """u -> Quant -> y; ``change`` gives s, z, b or attributes another value, None takes them away."""
    g = Graph()
    values = {name: change.pop(name, value) for name, value in NUMBERS.items()}
    names = [g.input("u", ROW, "FLOAT32"), *values][:operands]
    for name, value in values.items():
        value = np.asarray(value)
        g.constant(value, None, object if value.dtype.kind in "OU" else value.dtype, name=name)
    attributes = {name: value for name, value in {**SETTINGS, **change}.items() if value is not None}
    return g.model([g.node(op, names, ROW, None, domain=QONNX, out=["y"], **attributes)])


def error(model, rule, tensor, message):
    return said(model, rule) == [(model.graph.node[-1].name, tensor, message)] and severities(model, rule) == {"error"}


RULES = {"s": "power-of-two-scale", "z": "zero-point", "b": "quant-width"}
NO_NUMBER = {"s": "is a scale", "z": "is a zero point", "b": "is a bit width"}


@pytest.mark.parametrize("op", ["Quant", "IntQuant"])
def test_a_symmetric_quantizer_of_a_power_of_two_is_legal(op):
    model = quant(op=op)
    assert [said(model, rule) for rule in (*RULES.values(), "quant-attributes", "rounding-mode")] == [[]] * 5
    assert error(quant(op=op, s=0.3), "power-of-two-scale", "s", "is a scale that is no power of two")


@pytest.mark.parametrize(
    "given, missing",
    [({"signed": None}, "signed"), ({"narrow": None}, "narrow"), ({"signed": None, "narrow": None}, "signed and narrow")],
)
def test_signed_and_narrow_are_given(given, missing):
    assert error(quant(**given), "quant-attributes", "y", f"has no attribute {missing}")


@pytest.mark.parametrize(
    "mode, told", [("ROUND", 0), ("round", 0), ("HALF_EVEN", 0), ("FLOOR", "FLOOR"), ("ceil", "CEIL"), (3, "3")]
)
def test_rounding_is_half_to_even(mode, told):
    model = quant(rounding_mode=mode)
    assert error(model, "rounding-mode", "y", f"rounds by {told}") if told else said(model, "rounding-mode") == []


@pytest.mark.parametrize("value, fits", [(0.0, 1), ([0.0, 0.0], 1), (3.0, 0), (-1.0, 0), ([0.0, 1.0], 0), (np.nan, 0)])
def test_a_zero_point_is_zero(value, fits):
    model = quant(z=value)
    assert said(model, "zero-point") == [] if fits else error(model, "zero-point", "z", "is a zero point other than 0")


@pytest.mark.parametrize(
    "value, fits",
    [(1.0, 1), (2.0, 1), ([0.5, 4.0], 1), (3.0, 0), ([0.5, 0.3], 0), (0.0, 0), (-0.5, 0), (np.inf, 0), (np.int64(4), 1)],
)
def test_a_scale_is_a_power_of_two(value, fits):
    model = quant(s=value)
    told = "is a scale that is no power of two"
    assert said(model, "power-of-two-scale") == [] if fits else error(model, "power-of-two-scale", "s", told)


@pytest.mark.parametrize(
    "value, told",
    [(1.0, None), (32.0, None), ([[8.0]], None), (0.0, "[0.0]"), (33.0, "[33.0]"), (4.5, "[4.5]"), (np.nan, "[nan]"), ([4.0, 4.0], "[4.0, 4.0]"),
     ([1.0, 2.0, 3.0, 4.0, 5.0], "[1.0, 2.0, 3.0, 4.0]"), ([], "[]")],
)  # fmt: skip
def test_a_width_is_a_whole_number_of_bits(value, told):
    model = quant(b=value)
    assert error(model, "quant-width", "b", f"is the bit width {told}") if told else said(model, "quant-width") == []


@pytest.mark.parametrize("operand", RULES)
@pytest.mark.parametrize(
    "source, ours", [("text", True), ("port", True), ("node", True), ("nowhere", False), ("far", False), ("damaged", False)]
)
def test_parameters_are_constant_numbers(operand, source, ours):
    """What is missing, stored elsewhere or damaged has a rule of its own."""
    model = quant(**({operand: ["a"]} if source == "text" else {}))
    tensor = next(t for t in model.graph.initializer if t.name == operand)
    if source in ("port", "node", "nowhere"):
        model.graph.initializer.remove(tensor)
    if source == "port":
        model.graph.input.append(helper.make_tensor_value_info(operand, TensorProto.FLOAT, []))
    elif source == "node":
        model.graph.node.insert(0, helper.make_node("Relu", ["u"], [operand], name="r"))
    elif source == "far":
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="x")
    elif source == "damaged":
        tensor.raw_data = b"1"
    rule, told = RULES[operand], f"{NO_NUMBER[operand]} that is no constant number"
    assert error(model, rule, operand, told) if ours else said(model, rule) == []


@pytest.mark.parametrize("operands", [1, 2, 3])
def test_what_is_given_is_judged_and_what_is_missing_is_an_operand_s_count(operands):
    model = quant(operands=operands, s=0.3, z=3.0, b=0.0)
    found = [name for name, rule in RULES.items() if said(model, rule)]
    assert found == ["s", "z", "b"][: operands - 1] and said(model, "operand-count")


def shared(readers: int, of: str = "w") -> onnx.ModelProto:
    """A Quant of ``of``, the parameter w or the stream u, read by so many Muls."""
    g = Graph()
    for name, value in {**NUMBERS, "w": np.ones(ROW)}.items():
        g.constant(value, None, name=name)
    x = g.input("u", ROW, "FLOAT32")
    q = g.node("Quant", [of, "s", "z", "b"], ROW, None, domain=QONNX, **SETTINGS)
    for _ in range(readers):
        x = g.node("Mul", [x, q], ROW, None)
    return g.model([x])


def test_a_quantized_parameter_has_one_reader():
    assert said(shared(2), "weight-quant-fork") == [("Quant_0", "t0_0", "feeds 2 consumers")]
    assert severities(shared(2), "weight-quant-fork") == {"error"}
    assert said(shared(1), "weight-quant-fork") == said(shared(2, of="u"), "weight-quant-fork") == []


def joined(op="Add", scales=(0.25, 0.5), *, kinds=("Quant", "Quant"), sources=("u", "v"), shape=ROW) -> onnx.ModelProto:
    """Quantisers of two tensors, met by ``op``."""
    g = Graph()
    g.input("u", shape, "FLOAT32"), g.input("v", shape, "FLOAT32"), g.constant(np.ones(shape), None, name="w")
    g.constant(0.0, None, name="z"), g.constant(4.0, None, name="b")
    ends = []
    for k, (kind, scale, source) in enumerate(zip(kinds, scales, sources, strict=True)):
        s = g.constant(scale, None, name=f"s{k}")
        operands = {"Relu": [source], "Mul": [source, s]}.get(kind, [source, s, "z", "b"])
        more = {} if kind in ("Relu", "Mul") else {"domain": QONNX, **SETTINGS}
        ends.append(g.node(kind, operands, shape, None, out=[f"q{k}"], **more))
    return g.model([g.node(op, ends, shape, None, out=["y"])])


@pytest.mark.parametrize(
    "graph, told",
    [
        (joined(), True),
        (joined("Sub"), True),
        (joined("Mul"), False),
        (joined(scales=(0.5, 0.5)), False),
        (joined(scales=(0.5, [0.5, 0.5, 0.5, 0.5])), False),
        (joined(scales=(0.5, [0.5, 0.5, 0.5, 0.25])), True),
        (joined(scales=([0.5] * 3, [0.25] * 4)), False),  # join-shape
        (joined(kinds=("IntQuant", "Quant")), True),
        (joined(kinds=("Relu", "Quant")), False),
        (joined(kinds=("Quant", "Relu")), False),
        (joined(kinds=("Quant", "Mul")), False),
        (joined(sources=("u", "w")), False),  # a parameter's scale is folded into its values
        (joined(sources=("w", "v")), False),
    ],
)
def test_quantizers_that_meet_share_a_scale(graph, told):
    found = [("Add_2" if graph.graph.node[-1].op_type == "Add" else "Sub_2", "", "joins q0 and q1, whose scales differ")]
    assert said(graph, "grid-join") == (found if told else []) and severities(graph, "grid-join") <= {"warning"}


def test_a_join_that_is_broken_otherwise_is_not_judged_by_its_scales():
    twice, short, three, none = joined(), joined(), joined(), joined()
    twice.graph.node.append(helper.make_node("Relu", ["u"], ["q0"], name="again"))  # duplicate-tensor
    del short.graph.node[0].input[1:]  # operand-count
    three.graph.node[-1].input.append("u")
    none.graph.node[-1].input[0] = ""
    assert [said(model, "grid-join") for model in (twice, short, three, none)] == [[]] * 4
    two = joined()
    del two.graph.node[0].input[2:]
    assert said(two, "grid-join")  # its scale is there


def float_graph(*links: tuple[str, str, str], last="x w", quantized=True, **types) -> onnx.ModelProto:
    """Links "operands, result, operator" of the Quant x of u, then a MatMul of ``last``; w is a constant, wq its Quant."""
    g = Graph()
    square = (4, 4)
    for name, value in {**NUMBERS, "w": np.ones(square), "c": np.ones(square)}.items():
        g.constant(value, types.get(name), name=name)
    g.input("u", square, "FLOAT32")
    if quantized:
        g.node("Quant", ["u", "s", "z", "b"], square, None, domain=QONNX, out=["x"], **SETTINGS)
        g.node("Quant", ["w", "s", "z", "b"], square, None, domain=QONNX, out=["wq"], **SETTINGS)
    for operands, result, op in links:
        g.node(op, operands.split(), square, None, out=[result])
    return g.model([g.node("MatMul", last.split(), square, None, out=["y"])])


def operands_told(model):
    found = said(model, "float-matmul-operand")
    assert all(
        (node, why) == (model.graph.node[-1].name, "is a float operand of a MatMul: no Quant lies before it")
        for node, _, why in found
    )
    assert severities(model, "float-matmul-operand") <= {"error"}
    return [tensor for _, tensor, _ in found]


@pytest.mark.parametrize(
    "links, last, told",
    [
        ((), "x wq", []),
        ((), "x w", ["w"]),
        ((), "w x", ["w"]),
        ((), "w c", ["w", "c"]),
        ((), "u wq", []),  # whoever drives a port vouches for its codes
        ((("x", "a", "Relu"),), "a wq", []),
        ((("x", "a", "Sigmoid"),), "a wq", ["a"]),
        ((("x", "a", "Sigmoid"), ("a", "b", "Relu")), "b wq", ["b"]),
        ((("x", "a", "Erf"),), "x wq", []),
        ((("x c", "a", "Add"),), "a wq", ["a"]),
        ((("x c", "a", "Div"),), "a wq", ["a"]),
        ((("x x", "a", "Add"),), "a wq", []),
        ((("c", "a", "Softmax"),), "a wq", []),  # hardware-op
    ],
)
def test_a_matmul_of_a_float_graph_reads_what_was_quantized(links, last, told):
    assert operands_told(float_graph(*links, last=last)) == told


def test_integers_are_quantized_by_their_annotation():
    assert operands_told(float_graph(w="INT4")) == []
    assert operands_told(float_graph(w="FLOAT32")) == ["w"]


def test_of_an_integer_graph_no_quantizer_is_asked():
    assert operands_told(float_graph(last="u w", quantized=False)) == []


def test_a_float_operand_of_another_operator_is_not_a_matmul_s():
    model = float_graph(last="x wq")
    model.graph.node[-1].op_type = "Add"
    model.graph.node[-1].input[1] = "w"
    assert operands_told(model) == []
