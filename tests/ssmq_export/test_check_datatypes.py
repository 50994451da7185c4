"""Rules of types and of constants, condition by condition. What FINN infers is qonnx's InferDataTypes."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from findings import said, severities
from foreign_graphs import QONNX, Graph
from onnx import TensorProto, helper

OURS = "ssmq_export.custom_op"
ROW = (1, 4)


def quantized(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same, to be judged as a float graph."""
    model.graph.node.append(helper.make_node("Quant", ["u", "u", "u", "u"], ["q"], domain=QONNX, name="q"))
    return model


def streams(
    op: str, types: list[str | None], *, before: str | None = None, count=1, domain="", rest=(), **attributes
) -> onnx.ModelProto:
    """``count`` nodes of ``op`` that read the ports v0, v1 ... of these types; ``before`` is an operator in front of each."""
    g = Graph()
    g.domains.add(domain)
    ends = []
    for k in range(count):
        operands = []
        for n, kind in enumerate(types):
            x = g.input(f"v{k}{n}", ROW, kind or "INT8")
            if before == "MultiThreshold":
                x = g.threshold(x, [[0, 1]], ROW, "FLOAT32")
            elif before:
                x = g.node(before, [x], ROW, kind, out=[f"x{k}{n}"])
            operands.append(x)
        results = 2 if op == "TopK" else 1
        made = g.node(op, [*operands, *rest], [ROW] * results, "INT32", domain=domain, **attributes)
        ends += made if results > 1 else [made]
    return g.model(ends)


FLOAT = "has the type FLOAT32, no integer one"


@pytest.mark.parametrize("count", [1, 3, 4, 6])
def test_ports_are_integer_and_three_that_are_not_are_named(count):
    names = [f"v0{k}" for k in range(count)]
    more = [("", "", f"{count - 3} further tensors have no integer type")] if count > 3 else []
    model = streams("Concat", ["FLOAT32"] * count, axis=1)
    assert said(model, "integer-datatypes") == [("", name, FLOAT) for name in names[:3]] + more
    assert severities(model, "integer-datatypes") == {"error"}
    assert said(quantized(model), "integer-datatypes") == []
    assert said(streams("Concat", ["INT8", "BIPOLAR"], axis=1), "integer-datatypes") == []


def test_a_port_without_an_annotation_is_float():
    model = streams("Relu", ["INT8"])
    del model.graph.quantization_annotation[:]
    assert said(model, "integer-datatypes") == [("", "v00", FLOAT)]


@pytest.mark.parametrize(
    "op, told",
    [("MatMul", ["x00", "x01"]), ("Add", []), ("Mish", [])],  # FINN's elementwise operators take floats too
)
def test_streams_that_must_be_integer_are_named_with_their_producer(op, told):
    model = streams(op, [None, None], before="Sigmoid")
    assert said(model, "integer-datatypes") == [(f"Sigmoid_{k}", name, FLOAT) for k, name in enumerate(told)]
    assert said(streams(op, [None, None], before="Identity"), "integer-datatypes") == []  # as its data is
    assert said(streams(op, [None, None], before="MultiThreshold"), "integer-datatypes") == []  # threshold-output


def test_a_float_constant_or_a_missing_operand_is_no_float_stream():
    g = Graph()
    c = g.constant(np.ones((4, 4)), None)
    folded = g.node("Sigmoid", [c], (4, 4), None)
    model = g.model([g.node("MatMul", [g.input("u", ROW, "INT4"), folded], ROW, "INT8")])
    assert said(model, "integer-datatypes") == []
    del model.graph.node[1].input[1]
    assert said(model, "integer-datatypes") == []


def test_of_two_producers_the_first_is_named_and_thresholds_have_a_rule_of_their_own():
    g = Graph()
    w = g.constant(np.ones((4, 4)), "INT2")
    for _ in range(2):
        g.node("Sigmoid", [g.input("u", ROW, "INT4")], ROW, "float", out=["x"])
    g.ports.pop()
    model = g.model([g.node("MatMul", ["x", w], ROW, "INT8")])
    assert said(model, "integer-datatypes") == [("Sigmoid_0", "x", "has the type float, no integer one")]
    assert said(model, "unknown-datatype") == [("Sigmoid_0", "x", "is annotated 'float', which is no datatype")]
    model.graph.node[0].op_type = "MultiThreshold"
    assert said(model, "integer-datatypes") == []


GOOD = "INT8 UINT12 INT100 BINARY BIPOLAR TERNARY FLOAT32 FLOAT16 FLOAT<5,10> FLOAT<5,10,15> FIXED<8,3> FIXED<8,-3> SCALEDINT<8>".split()


@pytest.mark.parametrize("name", [*GOOD, "INT", "int8", "FLOAT64", "INT8.5", "FIXED<8>", "SCALEDINT", "INT8x", "", "HINT8"])
def test_a_datatype_is_one_that_qonnx_knows(name):
    model = streams("Relu", ["INT8"])
    for entry in model.graph.quantization_annotation:
        entry.quant_parameter_tensor_names[0].value = name
    found = [] if name in GOOD else [("Relu_0", "t0_0", f"is annotated {name!r}, which is no datatype")]
    assert said(model, "unknown-datatype") == found and severities(model, "unknown-datatype") <= {"error"}


def produced(op="MatMul", datatype: str | None = None, *, count=1, levels="INT8", computed=False) -> onnx.ModelProto:
    """``count`` nodes in a row, their outputs annotated with ``datatype``."""
    g = Graph()
    x = g.input("u", ROW, "INT4")
    for _ in range(count):
        if op == "MultiThreshold":
            t = g.input("t", (1, 3), "INT8") if computed else g.constant([[0, 1, 2]], levels, name="t")
            x = g.node(op, [x, t], ROW, datatype, domain=QONNX, out_dtype="UINT2")
        else:
            x = g.node(op, [x, g.constant(np.ones((4, 4)), "INT2")] if op == "MatMul" else [x], ROW, datatype)
    return g.model([x])


@pytest.mark.parametrize(
    "op, datatype, inferred",
    [
        ("MatMul", None, "INT32"),
        ("MatMul", "FLOAT32", "INT32"),
        ("MatMul", "INT7", None),  # narrower, and FINN narrows it too
        ("MultiThreshold", "UINT2", None),
        ("MultiThreshold", "INT9", "UINT2"),
        ("MultiThreshold", None, "UINT2"),
        ("Sigmoid", None, None),
        ("Relu", None, None),  # whose type qonnx leaves as annotated
        ("Identity", None, None),  # an integer, of an operator that hardware-op names
    ],
)
def test_inner_tensors_are_annotated_as_finn_infers_them(op, datatype, inferred):
    model = produced(op, datatype)
    expected = [(f"{op}_0", "t0_0", f"is annotated {datatype or 'FLOAT32'}, and FINN infers {inferred}")] if inferred else []
    assert said(model, "inferred-datatype") == expected and severities(model, "inferred-datatype") <= {"warning"}
    assert said(quantized(model), "inferred-datatype") == []


def test_every_output_is_compared_with_what_finn_infers():
    g = Graph()
    parts = g.node("Split", [g.input("u", ROW, "INT4"), g.constant([2, 2], "UINT2", np.int64)], [(1, 2), (1, 2)], None, axis=1)
    told = "is annotated FLOAT32, and FINN infers INT4"
    assert said(g.model(parts), "inferred-datatype") == [("Split_0", name, told) for name in parts]


@pytest.mark.parametrize("count", [3, 4, 5])
def test_of_many_outputs_three_are_named(count):
    found = said(produced(count=count), "inferred-datatype")
    assert [tensor for _, tensor, _ in found[:3]] == ["t0_0", "t1_0", "t2_0"]
    assert found[3:] == ([("", "", f"{count - 3} further tensors are not annotated as FINN infers them")] if count > 3 else [])


def test_thresholds_are_annotated_with_integers():
    told = "has no integer type, and FINN takes that of the data"
    assert said(produced("MultiThreshold", "UINT2", levels=None), "inferred-datatype") == [("MultiThreshold_0", "t", told)]
    assert said(produced("MultiThreshold", "UINT2", levels="FLOAT32"), "inferred-datatype") == [("MultiThreshold_0", "t", told)]
    computed = produced("MultiThreshold", "UINT2", computed=True)
    del computed.graph.quantization_annotation[:]
    assert "t" not in [tensor for _, tensor, _ in said(computed, "inferred-datatype")]
    short = produced("MultiThreshold", "UINT2")
    del short.graph.node[0].input[1:]
    assert said(short, "inferred-datatype") == []
    weight = produced("MatMul", "INT7")
    weight.graph.quantization_annotation.remove(next(a for a in weight.graph.quantization_annotation if a.tensor_name == "c0"))
    assert "c0" not in [tensor for _, tensor, _ in said(weight, "inferred-datatype")]


def constant(op: str, values, datatype: str | None, dtype=np.float32, domain="") -> onnx.ModelProto:
    """u -> op with the constant c."""
    g = Graph()
    g.domains.add(domain)
    c = g.constant(values, datatype, dtype, name="c")
    return g.model([g.node(op, [g.input("u", ROW, "INT4"), c], ROW, "INT8", domain=domain)])


def square(*values):
    """Four rows, the first values as given."""
    return np.resize(np.array([*values, *[0] * (16 - len(values))]), (4, 4))


FRACTION, OUTSIDE = "is annotated {} and holds values that are no integers", "is annotated {} and holds values outside it"


@pytest.mark.parametrize(
    "op, values, datatype, fault",
    [
        ("MatMul", square(7, -8), "INT4", None),
        ("MatMul", square(8, -8), "INT4", OUTSIDE),
        ("MatMul", square(7, -9), "INT4", OUTSIDE),
        ("MatMul", square(0.5), "INT4", FRACTION),
        ("MatMul", square(np.nan), "INT4", FRACTION),
        ("MatMul", square(np.inf), "INT4", FRACTION),
        ("MatMul", square(1), None, "is a constant of type FLOAT32"),
        ("MatMul", square(1), "FLOAT16", "is a constant of type FLOAT16"),
        ("MatMul", np.zeros((4, 0)), "INT4", None),
        ("Add", square(1), None, None),  # FINN finds the type of its integers
        ("Add", square(0.5), None, FRACTION),
        ("Add", square(1), "FLOAT16", "is a constant of type FLOAT16"),
        ("Add", square(8), "INT4", OUTSIDE),
        ("Mish", square(0.5), None, None),  # hardware-op
    ],
)  # fmt: skip
def test_constants_that_are_computed_with_are_integers_of_their_type(op, values, datatype, fault):
    model = constant(op, values, datatype)
    expected = [(f"{op}_0", "c", fault.format(datatype or "FLOAT32"))] if fault else []
    assert said(model, "float-initializer") == expected and severities(model, "float-initializer") <= {"error"}
    assert said(quantized(model), "float-initializer") == []


def test_a_constant_of_text_holds_no_numbers():
    for op, datatype in (("MatMul", "INT4"), ("Add", None)):
        model = constant(op, np.full((4, 4), "a"), datatype, object)
        assert said(model, "float-initializer") == [(f"{op}_0", "c", "is a constant that holds no numbers")]


def test_a_constant_stored_elsewhere_is_another_rule_s():
    model = constant("MatMul", square(0.5), None)
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="far")
    assert said(model, "float-initializer") == [] and said(model, "external-data")


@pytest.mark.parametrize("op, datatype, fault", [("MatMul", None, True), ("MatMul", "INT4", False), ("Add", None, False)])
def test_of_a_constant_that_is_not_computed_here_only_the_type_is_judged(op, datatype, fault):
    g = Graph()
    w = g.node("Abs", [g.constant(square(0.5), None)], (4, 4), datatype, out=["w"])
    model = g.model([g.node(op, [g.input("u", ROW, "INT4"), w], ROW, "INT8")])
    assert said(model, "float-initializer") == ([(f"{op}_1", "w", "is a constant of type FLOAT32")] if fault else [])


@pytest.mark.parametrize("place", [1, 8])
def test_every_parameter_of_a_scan_is_annotated_and_its_data_is_none(place):
    g = Graph()
    g.domains.add(OURS)
    operands = [g.constant(np.ones((1, 5, 1, 4)), None, name="u")]
    operands += [g.constant(np.ones((4, 3)), None if k == place else "INT4", name=f"p{k}") for k in range(1, 8)]
    operands.append(g.constant(np.ones(1), None, name="p8") if place == 8 else g.input("p8", (1,), "INT4"))
    model = g.model(
        [
            g.node("DiagonalScan", operands, (1, 5, 1, 4), "INT8", domain=OURS),
            g.node("Relu", [g.input("v", ROW, "INT4")], ROW, "INT4"),
        ]
    )
    if place == 8:  # no node of constants alone, which would be folded away
        model.graph.initializer.remove(next(t for t in model.graph.initializer if t.name == "u"))
        model.graph.input.append(helper.make_tensor_value_info("u", TensorProto.FLOAT, (1, 5, 1, 4)))
    assert said(model, "float-initializer") == [("DiagonalScan_0", f"p{place}", "is a constant of type FLOAT32")]


def test_a_constant_read_twice_is_told_once_with_its_first_reader():
    g = Graph()
    w = g.constant(square(1), None, name="w")
    x = g.node("Add", [g.input("u", (4, 4), "INT4"), w], (4, 4), "INT8")
    for _ in range(2):
        x = g.node("MatMul", [x, w], (4, 4), "INT8")
    assert said(g.model([x]), "float-initializer") == [("MatMul_1", "w", "is a constant of type FLOAT32")]


@pytest.mark.parametrize("count", [3, 4])
def test_of_many_constants_three_are_named(count):
    g = Graph()
    x = g.input("u", ROW, "INT4")
    for _ in range(count):
        x = g.node("Add", [x, g.constant(np.full(ROW, 0.5), None)], ROW, "INT8")
    found = said(g.model([x]), "float-initializer")
    assert [tensor for _, tensor, _ in found[:3]] == ["c0", "c1", "c2"]
    assert found[3:] == ([("", "", "1 further constants are not integer")] if count > 3 else [])


@pytest.mark.parametrize(
    ("op", "left", "right", "told"),
    [
        ("Add", "INT4", "UINT4", "joins INT4 and UINT4, which FINN sizes as INT5"),  # -8 .. 22 needs 6 bits
        ("Sub", "INT4", "UINT4", "joins INT4 and UINT4, which FINN sizes as INT5"),  # -23 .. 7 needs 6 bits
        ("Add", "UINT4", "INT4", None),
        ("Add", "INT5", "UINT4", None),
        ("Add", "INT4", "UINT5", None),
        ("Add", "INT4", "INT4", None),
        ("Mul", "INT4", "UINT4", None),
    ],
)
def test_sums_that_finn_sizes_a_bit_short_are_named(op, left, right, told):
    """finn-plus 1.6.1, ElementwiseAdd and ElementwiseSub, ``_derive_out_dtype``: of equal widths the first counts as the wider."""
    g = Graph()
    result = g.node(op, [g.input("a", ROW, left), g.input("b", ROW, right)], ROW, "INT8")
    expected = [] if told is None else [(f"{op}_0", result, told)]
    assert said(g.model([result]), "sum-width") == expected
