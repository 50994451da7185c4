"""One description of a node: what it does agrees with qonnx node by node, its ranges hold, and it refuses contradictions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest
from conftest import small_codes, small_config, small_model
from hand_counts import one_node, operation
from hand_graphs import dataflow as dataflow_by_hand
from ssmq_export.dataflow import ranges
from ssmq_export.dataflow.graph import DataflowGraph, operations
from ssmq_export.dataflow.ports import ports_of
from ssmq_export.dataflow.recognition import width_of
from ssmq_export.dataflow.rows import ROUND, evaluate
from ssmq_export.errors import ExportError
from ssmq_export.from_network import step_graph
from ssmq_export.lowering import collapse, lower
from ssmq_export.verification.engines import run_steps
from test_graphs import CASES


def dataflow(name: str) -> onnx.ModelProto:
    return lower(step_graph(small_model(small_config(**CASES[name]))[1].network))


@pytest.mark.parametrize("name", CASES)
def test_every_operation_computes_what_qonnx_does_and_stays_in_its_range(name):
    model = dataflow(name)
    graph = DataflowGraph(model)
    assert [operation.output for operation in graph.operations] == [node.output[0] for node in model.graph.node]
    coded = [tensor for tensor in graph.channels if tensor in graph.exponents]
    given = np.random.default_rng(0).integers(0, 256, (3, 8, graph.ports.input.channels))
    found = run_steps(model, given, coded)
    codes = {tensor: np.ldexp(found[tensor], -graph.exponents[tensor]).astype(np.int64) for tensor in coded}
    for done in graph.operations:
        computed = done.evaluate(*(codes[tensor] for tensor in done.inputs))
        if done.output in coded and done.output != graph.ports.output.name:
            assert np.array_equal(computed, codes[done.output]), done.name
        codes[done.output] = computed
        low, high = done.limits
        assert np.all((low <= computed) & (computed <= high)), done.name
        for channel, row in enumerate(done.rows):
            s = codes[done.inputs[0]][..., channel].ravel()
            assert np.array_equal(evaluate(row, s), computed[..., channel].ravel()), done.name


def test_a_whole_sequence_is_what_its_steps_are():
    model = dataflow("edge")
    steps, whole = DataflowGraph(model), DataflowGraph(collapse(model))
    codes = small_codes(2).numpy()
    (expected,) = run_steps(model, codes, []).values()
    known = {whole.ports.input.name: codes.reshape(2, -1, whole.ports.input.channels)}
    for done in whole.operations:
        known[done.output] = done.evaluate(*(known[tensor] for tensor in done.inputs))
    output = whole.ports.output.name
    assert np.array_equal(np.ldexp(known[output][:, 0].astype(float), whole.exponents[output]), expected)
    kinds = [operation.kind for operation in whole.operations]
    assert kinds.count("scan") == len(steps.ports.recurrences) and kinds.count("running sum") == 1
    assert not whole.ports.kept


def test_kinds_are_told_by_constants_and_by_proof():
    kinds = {operation.name: operation.kind for operation in operations(dataflow("edge"))}
    assert kinds["MatMul_blocks.0.ssm.bu_re"] == "spread" and kinds["MatMul_blocks.0.ssm.cx_re"] == "gather"
    assert kinds["MatMul_blocks.0.linear_0.product"] == "dense" and kinds["Mul_blocks.0.mul"] == "product"
    assert kinds["Add_blocks.0.add"] == "sum" and kinds["Mul_blocks.0.ssm.a_re_x_re"] == "scale"
    assert kinds["MultiThreshold_blocks.0.ssm.x_re_next"] == "rounding"
    assert kinds["MultiThreshold_blocks.0.activation_quant"] == "thresholds", "batch norm is in them"


def test_a_rounding_has_a_shifter_a_shift_and_no_memory_of_thresholds():
    read = {operation.name: operation for operation in operations(dataflow("edge"))}
    rounding = read["MultiThreshold_blocks.0.ssm.x_re_next"]
    assert all(row.kind == ROUND for row in rounding.rows)
    assert {part.kind for part in rounding.parts} <= {"round", "shift", "add"}
    counted = read["MultiThreshold_blocks.0.activation_quant"]
    assert [part.kind for part in counted.parts] == ["compare"] and counted.stored_bits > 0


def test_ports_are_read_from_the_metadata():
    ports = ports_of(dataflow("edge"))
    assert ports.input.name == "u" and ports.input.format.datatype == "UINT8" and ports.output.name == "decoder"
    assert [port.name for port in ports.sums] == ["sum.kept"] and ports.successors["sum.kept"] == "sum"
    (first, *_) = ports.recurrences.values()
    assert [port.part for port in first] == ["re", "im"] and first[0].shape == first[1].shape


@pytest.mark.parametrize("op", ["Add", "Sub", "Mul"])
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("constant", [[5, -3], [-2]])
def test_elementwise_constants_reach_their_ends_from_either_side(op, first, constant):
    """Two channels from -4 to 3; what NumPy makes of every code, and its least and greatest a channel."""
    found = operation(one_node(op, 2, 2, np.reshape(constant, (1, -1)), first), u="INT3", y="INT8")
    codes = np.stack([np.arange(-4, 4), np.arange(-4, 4)[::-1]], axis=1)
    operands = (np.array(constant), codes) if first else (codes, np.array(constant))
    expected = {"Add": np.add, "Sub": np.subtract, "Mul": np.multiply}[op](*operands)
    assert np.array_equal(found.evaluate(codes), expected)
    assert [end.tolist() for end in found.limits] == [expected.min(axis=0).tolist(), expected.max(axis=0).tolist()]


@pytest.mark.parametrize(
    ("low", "high", "bits"),
    [(0, 0, 1), (0, 1, 1), (0, 255, 8), (0, 256, 9), (-1, 0, 2), (-8, 7, 4), (-9, 7, 5), (-8, 8, 5), (-1, 127, 8), (-8, -5, 4)],
)
def test_a_width_is_that_of_the_narrowest_word(low, high, bits):
    assert width_of(low, high) == bits


@pytest.mark.parametrize(("factor", "fits"), [(2**31 - 1, True), (2**31, False)])
def test_a_magnitude_of_61_bits_is_the_first_that_is_refused(factor, fits):
    """2**30 times 2**31 is 2**61, whichever way it comes about."""
    low, high = np.array([-(2**30)]), np.array([2**30 - 1])
    for compute in (
        lambda: ranges.product((low, high), ranges.constant(np.array([factor]))),
        lambda: ranges.matmul((low, high), np.array([[factor]])),
        lambda: ranges.total((low * (factor - 1), high), (low, high), 1),
    ):
        if fits:
            assert compute()[0].tolist() == [-(2**30) * factor]
        else:
            with pytest.raises(ExportError, match="its codes need more than 62 bits: choose narrower formats"):
                compute()


def unadmitted(op: str, weight, kind: str = "INT60") -> onnx.ModelProto:
    graph = dataflow_by_hand(one_node(op, 2, 2, weight), u="INT40", y=kind, w="INT40")
    return graph.model()


@pytest.mark.parametrize(
    ("op", "weight", "message"),
    [
        ("Relu", [[1.0, 1]], "node Relu_y: Relu is no operation of a dataflow graph: lower the graph"),
        ("Add", [[1.0, 2, 3]], "y: the shapes of its operands do not fit: export the graph again"),
        ("Mul", [[2.0**30, 1]], "y: its codes need more than 62 bits: choose narrower formats"),
    ],
)
def test_a_node_that_is_no_operation_is_named(op, weight, message):
    with pytest.raises(ExportError, match=f"^{message}"):
        operations(unadmitted(op, weight))


SOME = next(o for o in operations(dataflow("edge")) if o.name == "MatMul_blocks.0.linear_0.product")
COUNTED = next(o for o in operations(dataflow("edge")) if o.name == "MultiThreshold_blocks.0.activation_quant")
SUM = next(o for o in operations(dataflow("edge")) if o.name == "Add_blocks.0.add")
SCALE = next(o for o in operations(dataflow("edge")) if o.name == "Mul_blocks.0.ssm.a_re_x_re")
PRODUCT = next(o for o in operations(dataflow("edge")) if o.name == "Mul_blocks.0.mul")


@pytest.mark.parametrize(
    ("operation", "changes", "message"),
    [
        (SOME, {"kind": "softmax"}, "its kind must be one of scan, dense, .* not softmax"),
        (SOME, {"inputs": ("a", "b")}, "a dense must have 1 tensors and a constant, not 2"),
        (SOME, {"constant": None}, "a dense must have 1 tensors and a constant"),
        (SOME, {"sources": ()}, "it must have 1 ranges of inputs, not 0"),
        (SOME, {"limits": SOME.limits[::-1]}, "a range must be int64"),
        (SOME, {"limits": tuple(end.astype(float) for end in SOME.limits)}, "a range must be int64"),
        (SOME, {"limits": (SOME.limits[0], SOME.limits[1][:1])}, "a range must be int64"),
        (SOME, {"limits": (SOME.limits[0], SOME.limits[1].astype(np.int32))}, "a range must be int64"),
        (SOME, {"sources": tuple((high + 1, high) for _, high in SOME.sources)}, "a range must be int64"),
        (SUM, {"sources": (SUM.sources[0], tuple(e[:3] for e in SUM.sources[1]))}, r"its terms must have 1 or 4 channels, not \[4, 3\]"),
        (SCALE, {"constant": SCALE.constant[:3]}, "its constant must have 1 or 12 channels"),
        (SOME, {"sign": 0}, "its sign must be 1 or -1, not 0"),
        (SOME, {"parts": ()}, "it must have parts"),
        (SOME, {"constant": SOME.constant[:-1]}, r"its matrix must be \(4, 4\), not \(3, 4\)"),
        (SOME, {"constant": SOME.constant.astype(float)}, "its constant must be int64, not float64"),
        (COUNTED, {"constant": COUNTED.constant[:, ::-1]}, "its thresholds must ascend"),
        (COUNTED, {"constant": COUNTED.constant[:3]}, "its thresholds must be 1 or 4 rows"),
        (COUNTED, {"constant": COUNTED.constant[None]}, "its thresholds must be 1 or 4 rows"),
        (COUNTED, {"constant": COUNTED.constant[0]}, "its thresholds must be 1 or 4 rows"),
        (COUNTED, {"rows": COUNTED.rows[1:]}, "it must have 4 proved rows, not 3"),
        (PRODUCT, {"sources": (PRODUCT.sources[0], tuple(e[:1] for e in PRODUCT.sources[1]))}, "its factors must have equal channels, not 4 and 1"),
    ],
)  # fmt: skip
def test_contradictions_are_refused_by_name(operation, changes, message):
    with pytest.raises(ExportError, match=f"^{operation.output}: {message}"):
        replace(operation, **changes)
