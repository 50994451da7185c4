"""Graphs of other people's making: what FINN does with each, as a verdict and the words that say why."""

from __future__ import annotations

import subprocess
import sys
import time

import numpy as np
import onnx
import onnxruntime
import pytest
from foreign_cases import INTEGER, VECTOR, layer, make_sparse
from foreign_graphs import QONNX, Graph
from onnx import TensorProto, helper, numpy_helper
from ssmq_export.checks import check_model


def errors(model) -> list[str]:
    return [f"{f.rule}: {f.message}. {f.fix}" for f in check_model(model) if f.severity == "error"]


@pytest.mark.parametrize("name", INTEGER)
def test_the_verdict_on_an_integer_graph_is_finns(name):
    model, words = INTEGER[name]
    found = errors(model)
    rule, *expected = words.split(" ") if words else [""]
    assert bool(found) == bool(words), found
    assert not words or any(text.startswith(f"{rule}:") and all(word in text for word in expected) for text in found), found


def quantized(op="Quant", weight="Quant", constants=True, **attributes) -> Graph:
    """u -> Quant -> MatMul(Quant(w)) -> Quant."""
    g = Graph()
    attributes = {"signed": 1, "narrow": 0, "rounding_mode": "ROUND", **attributes}
    attributes = {name: value for name, value in attributes.items() if value is not None}
    given = {"s": 0.125, "z": 0.0, "b": 4.0}
    if constants:
        for name, value in given.items():
            g.constant(value, None, name=name)

    def quant(x, shape, kind):
        operands, settings = ([x, "s"], {}) if kind == "BipolarQuant" else ([x, "s", "z", "b"], attributes)
        return g.node(kind, operands, shape, None, domain=QONNX, **settings)

    x = quant(g.input("u", (1, 3), "FLOAT32"), (1, 3), op)
    w = quant(g.constant(np.linspace(-0.8, 0.8, 12).reshape(3, 4), None, name="w"), (3, 4), weight)
    g.last = quant(g.node("MatMul", [x, w], VECTOR, None), VECTOR, op)
    return g


def plain_constants() -> onnx.ModelProto:
    g = quantized(constants=False)
    forms = {"s": {"value_float": 0.125}, "z": {"value_floats": [0.0]}, "b": {"value_int": 4}}
    model = g.model([g.last])
    nodes = [helper.make_node("Constant", [], [name], name=f"c_{name}", **form) for name, form in forms.items()]
    nodes += list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def wrapped_constants() -> onnx.ModelProto:
    g = quantized(constants=False)
    for name, value in {"s": 0.125, "z": 0.0, "b": 4.0}.items():
        g.nodes.insert(0, helper.make_node("Identity", [g.constant(value, None)], [name], name=f"same_{name}"))
        g.infos[name] = helper.make_tensor_value_info(name, TensorProto.FLOAT, [])
    return g.model([g.last])


def zero_point() -> onnx.ModelProto:
    g = quantized("IntQuant", "IntQuant", rounding_mode="CEIL")
    next(c for c in g.constants if c.name == "z").CopyFrom(numpy_helper.from_array(np.float32(3), "z"))
    return g.model([g.last])


def qdq() -> onnx.ModelProto:
    """As onnxruntime writes it: every operand of a Gemm dequantised."""
    g = Graph(13)
    scales = [g.constant(1 / 255, None), g.constant(0, None, np.uint8)]
    x = g.node("QuantizeLinear", [g.input("u", (1, 3), "FLOAT32"), *scales], (1, 3), None, element=TensorProto.UINT8)
    x = g.node("DequantizeLinear", [x, *scales], (1, 3), None)
    w = [g.constant(np.arange(12).reshape(3, 4) - 6, None, np.int8), g.constant([0.01, 0.02, 0.03, 0.04], None)]
    y = g.node("DequantizeLinear", [*w, g.constant([0] * 4, None, np.int8)], (3, 4), None, axis=1)
    return g.model([g.node("Gemm", [x, y], VECTOR, None)])


def finished(g: Graph) -> onnx.ModelProto:
    return g.model([g.last])


QUANTIZED = {
    "Quant": (finished(quantized()), {"not-lowered"}, "3 Quant nodes"),
    "narrow range": (finished(quantized(narrow=1)), {"not-lowered"}, ""),
    "IntQuant": (finished(quantized("IntQuant", "IntQuant")), {"not-lowered"}, "3 Quant nodes"),
    "IntQuant, zero point, CEIL": (zero_point(), {"not-lowered", "zero-point", "rounding-mode"}, "rounds by CEIL"),
    "BipolarQuant": (finished(quantized(weight="BipolarQuant")), {"not-lowered", "hardware-op"}, "a constant of -1 and 1"),
    "QDQ": (qdq(), {"hardware-op"}, "DequantizeLinear is no FINN hardware operator: convert the graph to Quant nodes first (qonnx: QCDQToQuant)"),
    "plain constants": (plain_constants(), {"not-lowered"}, ""),
    "constants through Identity": (wrapped_constants(), {"not-lowered", "hardware-op"}, "Identity"),
    "a sparse weight": (make_sparse(finished(quantized())), {"not-lowered", "sparse-constant"}, "store it dense"),
    "no attributes": (finished(quantized(signed=None, narrow=None)), {"not-lowered", "quant-attributes"}, "no attribute signed and narrow"),
}  # fmt: skip


@pytest.mark.parametrize("name", QUANTIZED)
def test_a_qonnx_or_qdq_graph_gets_the_advice_that_fits(name):
    model, rules, words = QUANTIZED[name]
    found = errors(model)
    assert {text.partition(":")[0] for text in found} == rules
    assert words in " ".join(found)


def declared(shape=None, element=None) -> onnx.ModelProto:
    model = layer()
    info = model.graph.value_info[0]
    kind = info.type.tensor_type
    info.CopyFrom(helper.make_tensor_value_info(info.name, element or kind.elem_type, shape or VECTOR))
    return model


def factor(shape) -> onnx.ModelProto:
    g = Graph()
    x = g.input("u", (1, 8), "INT4")
    return g.model([g.node("Mul", [x, g.constant(np.ones(shape), "INT2")], (1, 8), "INT6")])


UNRUNNABLE = {
    "another container": (declared(element=TensorProto.INT64), "declared-type: is declared INT64 and comes out as FLOAT"),
    "a column for a row": (factor((8, 1)), "declared-type: is declared [1, 8] and comes out as [8, 8]"),
    "three factors for eight": (factor((1, 3)), "join-shape: Mul of u [1, 8], c0 [1, 3]: Incompatible dimensions"),
}


def runs(model: onnx.ModelProto) -> bool:
    """Whether the runtime takes the graph, and gives what it declares."""
    standard = onnx.ModelProto()
    standard.CopyFrom(model)
    for node in standard.graph.node:
        if node.domain:  # the runtime knows no MultiThreshold: the same shape by a Relu
            node.CopyFrom(helper.make_node("Relu", node.input[:1], node.output))
    shape = [[d.dim_value for d in port.type.tensor_type.shape.dim] for port in (*standard.graph.input, *standard.graph.output)]
    try:
        session = onnxruntime.InferenceSession(standard.SerializeToString())
        (found,) = session.run(None, {"u": np.ones(shape[0], np.float32)})
    except Exception:  # of the runtime's own kinds
        return False
    return list(found.shape) == shape[1]


@pytest.mark.parametrize("name", UNRUNNABLE)
def test_what_onnx_runtime_refuses_is_illegal(name):
    model, words = UNRUNNABLE[name]
    (found,) = errors(model)
    assert found.startswith(words)
    assert runs(layer()) and not runs(model)


@pytest.mark.parametrize("shape", [[1, 5], [4], [1, 1, 4]])
def test_an_inner_shape_that_contradicts_its_operator_is_illegal(shape):
    (found,) = errors(declared(shape=shape))
    assert found.startswith(f"declared-type: is declared {shape} and comes out as [1, 4]")


def test_every_constant_of_a_sparse_node_is_read():
    """As a Constant node the runtime and FINN make it dense."""
    model = layer()
    weight = next(t for t in model.graph.initializer if t.name == "w")
    model.graph.initializer.remove(weight)
    values, places = numpy_helper.from_array(np.ones(3, np.float32), "v"), numpy_helper.from_array(np.array([0, 5, 10]), "p")
    sparse = helper.make_sparse_tensor(values, places, [3, 4])
    model.graph.node.insert(0, helper.make_node("Constant", [], ["w"], name="cw", sparse_value=sparse))
    assert errors(model) == []


def test_twenty_thousand_faults_are_found_in_linear_time():
    def faulty(count: int) -> float:
        nodes = [helper.make_node("Softmax", [f"t{k}"], [f"t{k + 1}"], name=f"n{k}") for k in range(count)]
        ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, VECTOR) for name in ("t0", f"t{count}")]
        model = helper.make_model(
            helper.make_graph(nodes, "g", ports[:1], ports[1:]), opset_imports=[helper.make_opsetid("", 17)]
        )
        started = time.process_time()
        assert len(errors(model)) >= count
        return time.process_time() - started

    faulty(10)
    assert faulty(16000) < 40 * max(faulty(2000), 0.01)  # eight times as many; quadratic would be 64


def test_the_check_needs_no_finn(tmp_path):
    onnx.save(layer(), tmp_path / "g.onnx")
    script = "import sys; from ssmq_export.checks import check_file; check_file(sys.argv[1]); assert not {'finn', 'qonnx'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "g.onnx")], check=True)
