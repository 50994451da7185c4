"""The folding that a graph keeps, for FINN's own configuration of it.

FINN renames tensors and nodes when it tidies a graph up, and makes hardware nodes of them; a node is found again by the
tensor that it gives, a matrix product that took in the thresholds behind it by its weights.
"""

from __future__ import annotations

import onnx

from ..dataflow.folding import attributes_of, cycles, fewest_lanes, foldings_of
from ..dataflow.graph import DataflowGraph


def kept_folding(model: onnx.ModelProto) -> dict | None:
    """``nodes``: PE, SIMD and resType by output tensor, ``interval``: cycles of the slowest; None if the graph keeps none."""
    operations = DataflowGraph(model).operations
    foldings = foldings_of(model, operations)
    if foldings is None:
        return None
    nodes = {
        operation.output: attributes_of(operation, fold) | ({} if fold.use_dsp else {"resType": "lut"})
        for operation, fold in zip(operations, foldings, strict=True)
    }
    return {"nodes": nodes, "interval": max(cycles(o, f) for o, f in zip(operations, foldings, strict=True))}


def tensors_of(graph: onnx.GraphProto) -> list[tuple[str, str]]:
    """Of every node in order: its output, and the weights of a matrix product."""
    return [(node.output[0], node.input[1] if node.op_type == "MatMul" else "") for node in graph.node]


def folding_config(graph: onnx.GraphProto, kept: dict, before: list[tuple[str, str]], tidied: list[tuple[str, str]]) -> dict:
    """FINN's folding configuration of the hardware ``graph``; ``before`` and ``tidied`` as ``tensors_of`` gave them.

    Nodes that only FINN has, such as DuplicateStreams, keep up with the slowest.
    """
    from qonnx.custom_op.registry import getCustomOp

    known = {}
    for (name, _), (output, weights) in zip(before, tidied, strict=True):
        known[weights or output] = kept["nodes"][name]
    config: dict = {"Defaults": {}}
    for node in graph.node:
        attributes = getCustomOp(node).get_nodeattr_types()
        chosen = next((known[name] for name in (*node.input[1:2], *node.output) if name in known), None)
        if chosen is None and "NumChannels" in attributes:
            chosen = {"PE": fewest_lanes(getCustomOp(node).get_nodeattr("NumChannels"), kept["interval"])}
        found = {name: value for name, value in (chosen or {}).items() if name in attributes}
        if found:
            config[node.name] = found
    return config
