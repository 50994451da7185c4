"""What a sequence graph computes, operation by operation: the reference of generated hardware."""

from __future__ import annotations

import numpy as np

from ..dataflow.graph import DataflowGraph
from ..dataflow.sequences import input_codes


def evaluated(graph: DataflowGraph, codes: np.ndarray) -> np.ndarray:
    """Codes of the output for codes ``(B, T, C)``: ``(B, T, channels)`` for one a step, else ``(B, channels)``."""
    port = graph.ports.output
    known = {graph.ports.input.name: input_codes(codes, graph.ports.input).astype(np.int64)}
    for operation in graph.operations:
        known[operation.output] = operation.evaluate(*(known[name] for name in operation.inputs))
    found = known[port.name]
    return found if port.each_step else found[:, -1]
