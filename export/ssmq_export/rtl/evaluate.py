"""What a sequence graph computes, operation by operation: the reference of generated hardware."""

from __future__ import annotations

import numpy as np

from ..dataflow.graph import DataflowGraph
from ..dataflow.operation import COUNTS, Operation
from ..dataflow.sequences import input_codes

# Sequences at once: every tensor of every step is kept.
AT_ONCE = 50


def evaluated(graph: DataflowGraph, codes: np.ndarray) -> np.ndarray:
    """Codes of the output for codes ``(B, T, C)``: ``(B, T, channels)`` for one a step, else ``(B, channels)``."""
    port = graph.ports.output
    parts = [traced(graph, codes[start : start + AT_ONCE])[port.name] for start in range(0, len(codes), AT_ONCE)]
    found = np.concatenate(parts)
    return found if port.each_step else found[:, -1]


def traced(graph: DataflowGraph, codes: np.ndarray) -> dict[str, np.ndarray]:
    """Codes ``(B, T or 1, channels)`` of every tensor."""
    known = {graph.ports.input.name: input_codes(codes, graph.ports.input).astype(np.int64)}
    for operation in graph.operations:
        given = [known[name] for name in operation.inputs]
        known[operation.output] = _counted(operation, *given) if operation.kind in COUNTS else operation.evaluate(*given)
    return known


def _counted(operation: Operation, codes: np.ndarray) -> np.ndarray:
    """As ``Operation.evaluate``, without comparing every code with every threshold."""
    rows = np.broadcast_to(operation.fixed, (operation.channels, operation.fixed.shape[1]))
    found = [np.searchsorted(row, codes[..., c], side="right") for c, row in enumerate(rows)]
    return operation.bias + np.stack(found, axis=-1)
