"""The operators: known, mappable to FINN's hardware, and joined properly."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..catalogue import Hit, rule
from ..graph_view import GraphView

QONNX_DOMAINS = frozenset({"", "ai.onnx", "qonnx.custom_op.general", "qonnx.custom_op.channels_last"})
# ONNX operator -> the FINN hardware operator it becomes.
HARDWARE = {
    "MatMul": "MVAU",
    "Mul": "ElementwiseMul",
    "Add": "ElementwiseAdd",
    "Sub": "ElementwiseSub",
    "MultiThreshold": "Thresholding",
    "Im2Col": "ConvolutionInputGenerator",
    "MaxPoolNHWC": "StreamingMaxPool",
    "QuantAvgPool2d": "Pool",
    "Concat": "StreamingConcat",
    "Split": "StreamingSplit",
    "Upsample": "UpsampleNearestNeighbour",
    "Gather": "Lookup",
    "GlobalAccPool": "GlobalAccPool",
    "Pad": "FMPadding",
}
# What `ssmq finn` gives a hardware operator: the recurrence has one of ours, the sum over time FINN's GlobalAccPool.
OUR_DOMAIN = "ssmq_export.custom_op"
OURS = frozenset({"DiagonalScan", "ReduceSum"})
MAPPED = OURS | HARDWARE.keys()
# Float operators that lowering turns into thresholds or constants when a Quant follows them.
LOWERABLE = frozenset({"Relu", "Clip", "Sigmoid", "Erf", "Cast", "Div", "BatchNormalization", "HardSigmoid", "Constant"})
OPERANDS = {"MatMul": 2, "Mul": 2, "Add": 2, "Sub": 2, "MultiThreshold": 2, "Quant": 4, "DiagonalScan": 9}
RECURRENT = frozenset({"Scan", "Loop", "If", "RNN", "GRU", "LSTM"})
INSTEAD = {
    "Gemm": "write it as MatMul and Add",
    "Conv": "lower it to Im2Col and MatMul (qonnx: LowerConvsToMatMul)",
    "Relu": "put a quantiser after it: both become one MultiThreshold",
    "Sigmoid": "put a quantiser after it: both become one MultiThreshold",
    "Tanh": "put a quantiser after it: both become one MultiThreshold",
    "Transpose": "store the parameter transposed",
    "Quant": "lower it to MultiThreshold (ssmq export)",
    "Softmax": "leave it to the host, after the accelerator's last stream",
    "Reshape": "keep tensors (1, channels): streams have no other shape",
}


def _is_recurrent(op_type: str) -> bool:
    return op_type in RECURRENT


@rule("recurrence", "error", "judge the step graph (step.onnx) or the dataflow graph (dataflow.onnx) instead")
def recurrence(view: GraphView) -> Iterator[Hit]:
    """FINN has no recurrence and no control flow: the state must be a pair of ports, looped back outside the graph."""
    for node in view.nodes:
        if _is_recurrent(node.op_type):
            yield view.label(node), "", f"{node.op_type} has no hardware form"


@rule("known-domain", "error", "declare the operator's domain among the opset imports, or replace the operator")
def known_domain(view: GraphView) -> Iterator[Hit]:
    """An operator of an undeclared or foreign domain has no definition that a tool could execute or map."""
    functions = {(f.domain, f.name) for f in view.model.functions}
    for node in view.nodes:
        domain = "" if node.domain == "ai.onnx" else node.domain
        if (node.domain, node.op_type) in functions:
            continue
        if domain.startswith("finn."):
            continue  # FINN's own files never declare its domains
        if domain not in QONNX_DOMAINS | {OUR_DOMAIN}:
            yield view.label(node), "", f"{node.op_type} belongs to the unknown domain {node.domain!r}"
        elif domain not in view.opsets and not (domain == "" and "ai.onnx" in view.opsets):
            yield view.label(node), "", f"the domain {domain or 'ai.onnx'!r} is not declared"


@rule("not-lowered", "error", "put thresholds in place of the Quants; for its own models ssmq export does, in dataflow.onnx")
def not_lowered(view: GraphView) -> Iterator[Hit]:
    """FINN streams integers. Its own conversion of Quant rounds halves up, so thresholds must be made before it."""
    if view.quants:
        yield view.label(view.quants[0]), "", f"{len(view.quants)} Quant nodes: this is a float QONNX graph"


@rule("hardware-op", "error", "replace the operator as named")
def hardware_op(view: GraphView) -> Iterator[Hit]:
    """Every node inside a StreamingDataflowPartition must become a FINN hardware operator; one foreign node splits it."""
    for node in view.nodes:
        ours = node.op_type in OURS and OUR_DOMAIN in view.opsets
        known = ours or node.op_type in HARDWARE or (not view.lowered and node.op_type in LOWERABLE | {"Quant"})
        foreign = node.domain not in QONNX_DOMAINS or _is_recurrent(node.op_type)
        if not known and not foreign:
            instead = INSTEAD.get(node.op_type, "express it with MatMul, Mul, Add, Sub and MultiThreshold")
            yield view.label(node), "", f"{node.op_type} is no FINN hardware operator: {instead}"


@rule("operand-count", "error", "connect every operand, or export the graph again")
def operand_count(view: GraphView) -> Iterator[Hit]:
    """An operator with an operand missing has no result; each other rule would only stumble over it."""
    for node in view.nodes:
        wanted = OPERANDS.get(node.op_type)
        if wanted is not None and (len(node.input) != wanted or not all(node.input) or not view.output(node)):
            count = sum(map(bool, node.input))
            yield view.label(node), "", f"{node.op_type} has {count} of {wanted} inputs, {len(node.output)} outputs"


@rule("static-weight", "error", "make one operand a constant; a product of two streams must be elementwise (Mul)")
def static_weight(view: GraphView) -> Iterator[Hit]:
    """MatMul becomes an MVAU, whose weights are a constant memory."""
    for node in view.nodes:
        if node.op_type == "MatMul" and len(node.input) > 1 and not view.is_constant(node.input[1]):
            yield view.label(node), node.input[1], "is the second operand of a MatMul, and not constant"


@rule("join-shape", "error", "give both operands the same channels, or make one a constant")
def join_shape(view: GraphView) -> Iterator[Hit]:
    """Two streams that meet must deliver the same number of elements, or one side starves and the pipeline stalls."""
    for node in view.nodes:
        if node.op_type not in ("Add", "Sub", "Mul") or len(node.input) != 2:
            continue
        left, right = (view.shape(name) for name in node.input)
        if left is None or right is None:
            continue
        if any(view.is_constant(name) for name in node.input):
            try:
                np.broadcast_shapes(tuple(left), tuple(right))
            except ValueError:
                yield view.label(node), "", f"{node.input[0]} {left} does not broadcast with {node.input[1]} {right}"
        elif left != right:
            yield view.label(node), "", f"{node.input[0]} {left} does not match {node.input[1]} {right}"
