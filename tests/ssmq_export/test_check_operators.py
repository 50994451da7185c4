"""Rules of operators, condition by condition: where they are defined, what they read, and who converts them."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from findings import said, severities
from foreign_graphs import QONNX, Graph
from onnx import TensorProto, helper

OURS, FINN = "ssmq_export.custom_op", "finn.custom_op.fpgadataflow.hls"
SQUARE = (4, 4)


def one(op: str, operands="u", *, domain="", declared=None, results=1, shape=SQUARE, **attributes) -> onnx.ModelProto:
    """One node n of these operands: u and v are ports, - is none, any other a constant. ``declared`` are the domains."""
    g = Graph()
    names = ["" if name == "-" else name for name in operands.split()]
    for name in dict.fromkeys(names):
        if name in ("u", "v"):
            g.input(name, shape, "INT4")
        elif name:
            g.constant(np.ones(shape), "INT4", name=name)
    outputs = [f"y{k}" for k in range(results)]
    g.node(op, names, [shape] * max(results, 1), "INT8", domain=domain, out=outputs or ["y"], **attributes)
    g.domains = {"", domain, QONNX} if declared is None else declared
    model = g.model(outputs)
    model.graph.node[0].name = "n"
    if not results:
        del model.graph.node[0].output[:]
    del model.opset_import[:]
    model.opset_import.extend(helper.make_opsetid(name, 17 if name in ("", "ai.onnx") else 1) for name in sorted(g.domains))
    return model


def told(model, rule):
    found = said(model, rule)
    assert all((node, tensor) == ("n", "") for node, tensor, _ in found) and severities(model, rule) <= {"error"}
    return [message for _, _, message in found]


def local(model, op, domain):
    model.functions.append(
        helper.make_function(domain, op, ["u"], ["y"], [helper.make_node("Relu", ["u"], ["y"])], [helper.make_opsetid("", 17)])
    )
    return model


@pytest.mark.parametrize("op", ["Scan", "Loop", "If", "RNN", "GRU", "LSTM"])
def test_recurrence_is_no_hardware_and_nothing_else(op):
    model = one(op)
    assert told(model, "recurrence") == [f"{op} has no hardware form"] and told(model, "hardware-op") == []
    assert told(one("Relu"), "recurrence") == []


def test_a_function_of_the_file_is_told_and_nothing_of_it_judged():
    for domain in ("my.blocks", ""):
        model = local(one("Block", domain=domain), "Block", domain)
        assert told(model, "local-function") == ["calls Block, a function of this file, in which nothing is judged"]
        assert told(model, "known-domain") == told(model, "hardware-op") == []
    other = local(one("Block", domain="my.blocks"), "Block", "their.blocks")
    assert told(other, "local-function") == [] and told(other, "known-domain") == [
        "Block belongs to the unknown domain 'my.blocks'"
    ]


@pytest.mark.parametrize(
    "op, domain, declared, expected",
    [
        ("Relu", "", {""}, None),
        ("Relu", "", {"ai.onnx"}, None),
        ("Relu", "ai.onnx", {""}, None),
        ("Relu", "ai.onnx", {"ai.onnx"}, None),
        ("Relu", "", {QONNX}, "the domain 'ai.onnx' is not declared"),
        ("Relu", QONNX, {"", QONNX}, f"Relu is of the domain 'ai.onnx', not {QONNX!r}"),
        ("Relu", "com.example", {"", "com.example"}, "Relu belongs to the unknown domain 'com.example'"),
        ("MultiThreshold", QONNX, {QONNX}, None),
        ("MultiThreshold", "onnx.brevitas", {"onnx.brevitas"}, None),
        ("MultiThreshold", QONNX, {"", "ai.onnx"}, f"the domain {QONNX!r} is not declared"),
        ("MultiThreshold", "", {""}, f"MultiThreshold is of the domain {QONNX!r}, not 'ai.onnx'"),
        ("MultiThreshold", "ai.onnx", {""}, f"MultiThreshold is of the domain {QONNX!r}, not 'ai.onnx'"),
        ("MultiThreshold", "qonnx.custom_op.channels_last", {"qonnx.custom_op.channels_last"}, f"MultiThreshold is of the domain {QONNX!r}, not 'qonnx.custom_op.channels_last'"),
        ("Quant", "onnx.brevitas", {"onnx.brevitas"}, None),
        ("DiagonalScan", OURS, {OURS}, None),
        ("DiagonalScan", OURS, {""}, f"the domain {OURS!r} is not declared"),
        ("MVAU_hls", FINN, {""}, None),  # FINN's own files never declare its domains
        ("Whatever", "finn.custom_op.other", {"finn.custom_op.other"}, "Whatever belongs to the unknown domain 'finn.custom_op.other'"),
    ],
)  # fmt: skip
def test_an_operator_is_of_a_known_and_declared_domain(op, domain, declared, expected):
    assert told(one(op, domain=domain, declared=declared), "known-domain") == ([expected] if expected else [])


def quants(count, op="Quant"):
    g = Graph()
    x = g.input("u", SQUARE, "FLOAT32")
    for name in ("s", "z", "b"):
        g.constant(1.0, None, name=name)
    for k in range(count):
        x = g.node(op, [x, "s", "z", "b"], SQUARE, None, domain=QONNX, out=[f"q{k}"], signed=1, narrow=0)
    return g.model([g.node("Relu", [x], SQUARE, None)])


def test_quant_nodes_are_counted_and_the_first_is_named():
    assert said(quants(2), "not-lowered") == [("Quant_0", "", "2 Quant nodes: this is a float QONNX graph")]
    assert said(quants(0), "not-lowered") == [] and severities(quants(1), "not-lowered") == {"error"}


FALLBACK = "express it with MatMul, Mul, Add, Sub and MultiThreshold"


@pytest.mark.parametrize(
    "op, domain, expected",
    [
        ("Relu", "", None),
        ("Gemm", "", "write it as MatMul and Add"),
        ("Mish", "", FALLBACK),
        ("Mish", QONNX, FALLBACK),
        ("Mish", "com.example", None),  # known-domain
        ("Mish", FINN, None),
        ("Sigmoid", "", "put a quantiser after it: both become one MultiThreshold"),
        ("DiagonalScan", OURS, None),
        ("DiagonalScan", "", FALLBACK),  # ONNX has none
    ],
)
def test_what_finn_does_not_convert_is_named_with_what_to_write(op, domain, expected):
    model = one(op, domain=domain)
    model.opset_import.append(helper.make_opsetid(OURS, 1))
    assert told(model, "hardware-op") == ([f"{op} is no FINN hardware operator: {expected}"] if expected else [])


def test_before_lowering_quants_and_what_they_absorb_are_hardware_to_be():
    for op, known in (("Sigmoid", True), ("Softmax", False), ("Relu", True)):
        model = quants(1, "IntQuant")
        model.graph.node[-1].op_type = op
        assert bool(said(model, "hardware-op")) is not known


@pytest.mark.parametrize("lowered", [True, False])
def test_what_tidying_folds_away_is_judged_before_lowering_only(lowered):
    """FINN folds the Neg of a constant; a float graph is lowered by whoever reads it."""
    model = one("Add", "u w")
    model.graph.node[0].input[1] = "negated"
    model.graph.node.insert(0, helper.make_node("Neg", ["w"], ["negated"], name="n"))
    if not lowered:
        model.graph.node.append(helper.make_node("Quant", ["y0", "w", "w", "w"], ["q"], domain=QONNX, name="q"))
    assert told(model, "hardware-op") == ([] if lowered else ["Neg is no FINN hardware operator: multiply by -1"])


@pytest.mark.parametrize(
    "op, shape, expected",
    [("MatMul", (4,), 1), ("MatMul", SQUARE, 0), ("MatMul", ("n", 4), 0), ("Add", (4,), 0)],
)
def test_vectors_have_two_dimensions(op, shape, expected):
    model = one(op, "u v", shape=shape)
    want = [("n", "u", "has 1 dimensions, and MatMul wants (vectors, channels)")] * expected
    assert [hit for hit in said(model, "conversion") if hit[1]] == want and severities(model, "conversion") <= {"error"}


def test_a_condition_of_finn_s_is_judged_of_complete_operators_of_integer_graphs():
    reason = "multiplies a constant from the left, and FINN streams the first operand: transpose the product"
    assert told(one("MatMul", "w u"), "conversion") == [reason]
    quantized = one("MatMul", "w u")
    quantized.graph.node.append(helper.make_node("Quant", ["y0", "w", "w", "w"], ["q"], domain=QONNX, name="q"))
    assert told(quantized, "conversion") == []
    assert told(one("MatMul", "w u", domain="com.example"), "conversion") == []
    assert told(one("MatMul", "w u v"), "conversion") == told(one("MatMul", "w u", results=2), "conversion") == []
    assert told(one("Mish", "w u"), "conversion") == []


@pytest.mark.parametrize(
    "op, domain, wanted",
    [
        ("MultiThreshold", QONNX, 2),
        ("Quant", QONNX, 4),
        ("IntQuant", QONNX, 4),
        ("BipolarQuant", QONNX, 2),
        ("DiagonalScan", OURS, 9),
    ],
)
def test_operators_without_a_schema_have_a_fixed_count_of_operands(op, domain, wanted):
    every = ["u", *(f"c{k}" for k in range(9))]
    for count, fits in ((wanted, True), (wanted - 1, False), (wanted + 1, False)):
        text = [] if fits else [f"{op} has {count} of {wanted} inputs, 1 outputs"]
        assert told(one(op, " ".join(every[:count]), domain=domain), "operand-count") == text
        assert told(one(op, " ".join(every[:count]), domain="com.example"), "operand-count") == []
    hollow = one(op, " ".join([*every[: wanted - 1], "-"]), domain=domain)
    assert told(hollow, "operand-count") == [f"{op} has {wanted - 1} of {wanted} inputs, 1 outputs"]


@pytest.mark.parametrize(
    "op, operands, results, expected",
    [
        ("MatMul", "u w", 1, None),
        ("MatMul", "u", 1, "MatMul has 1 inputs, 1 outputs"),
        ("MatMul", "u -", 1, "MatMul has 1 inputs, 1 outputs"),
        ("MatMul", "u w v", 1, "MatMul has 3 inputs, 1 outputs"),
        ("MatMul", "u w", 2, "MatMul has 2 inputs, 2 outputs"),
        ("Relu", "", 1, "Relu has 0 inputs, 1 outputs"),
        ("Im2Col", "", 1, "Im2Col has 0 inputs, 1 outputs"),
        ("Im2Col", "u", 1, None),
        ("Mish", "u v", 1, None),  # hardware-op
        ("Sigmoid", "", 1, None),
    ],
)
def test_operators_have_the_operands_of_their_schema(op, operands, results, expected):
    domain = QONNX if op == "Im2Col" else ""
    assert told(one(op, operands, results=results, domain=domain), "operand-count") == ([expected] if expected else [])


@pytest.mark.parametrize(
    "op, domain, operands",
    [("Relu", "", "u"), ("MultiThreshold", QONNX, "u w"), ("DiagonalScan", OURS, " ".join(["u", *"abcdefgh"]))],
)
def test_an_operator_without_a_result_is_told(op, domain, operands):
    model = one(op, operands, domain=domain, results=0)
    assert [message[-9:] for _, _, message in said(model, "operand-count")] == ["0 outputs"]


@pytest.mark.parametrize(
    "model, tensor",
    [
        (one("Add", "u v"), None),
        (one("Add", "u u"), "u"),
        (one("Concat", "v u w u", axis=1), "u"),
        (one("Concat", "u v v u", axis=1), "v"),
        (one("Pad", "u w - -"), None),
        (one("Add", "u u", domain="com.example"), None),
        (one("Add", "w w"), None),  # folded away
    ],
)
def test_a_tensor_is_read_once_by_a_node(model, tensor):
    expected = [("n", tensor, "is read twice by this node")] if tensor else []
    assert said(model, "same-operand") == expected and severities(model, "same-operand") <= {"error"}


def test_of_a_float_graph_a_tensor_may_be_read_twice():
    model = quants(1)
    model.graph.node[-1].op_type = "Add"
    model.graph.node[-1].input.append("q0")
    assert said(model, "same-operand") == []


def test_operands_that_do_not_fit_are_listed_three_at_most():
    g = Graph()
    names = [g.input(f"u{k}", shape, "INT4") for k, shape in enumerate([(1, 4), ("n", 4), (1, 5, 4), (2, 4), (1, 4)])]
    model = g.model([g.node("Concat", names, (1, 20), "INT4", axis=1)])
    ((node, tensor, message),) = said(model, "join-shape")
    assert (node, tensor) == ("Concat_0", "") and message.startswith("Concat of u0 [1, 4], u2 [1, 5, 4], u3 [2, 4]: ")
    assert severities(model, "join-shape") == {"error"}


def test_a_declared_type_that_is_not_the_computed_one_is_named():
    g = Graph()
    x = g.node("Relu", [g.input("u", SQUARE, "INT4")], SQUARE, "INT4", element=TensorProto.INT32)
    model = g.model([g.node("Relu", [x], SQUARE, "INT4")])
    assert said(model, "declared-type")[0] == ("Relu_0", x, "is declared INT32 and comes out as FLOAT")
    assert severities(model, "declared-type") == {"error"}
