"""Pass 4, shifts: a shift goes into the constant that feeds it, where nobody else needs the unshifted sum.

1. Behind a MatMul, into its weights. 2. Behind a product with a constant, into that. 3. Behind a sum, onto both of its
operands, where rules 1 and 2 may take it. Ports and thresholds are left alone: a shift behind them stays,
as does one that is a graph output.
"""

from __future__ import annotations

import numpy as np
from onnx import NodeProto

from .align import multiplied
from .graph import Graph


def shifts(graph: Graph) -> None:
    while _fold_one(graph):
        pass
    graph.prune()


def _fold_one(graph: Graph) -> bool:
    readers, producers = graph.readers(), graph.producers()
    for node in graph.nodes:
        if not _is_shift(graph, node) or node.output[0] in graph.outputs:
            continue
        before = producers.get(node.input[0])
        if before is None or len(readers[node.input[0]]) > 1 or node.input[0] in graph.outputs:
            continue
        factor = graph.constants[node.input[1]]
        if before.op_type in ("MatMul", "Mul") and not graph.varies(before.input[1]):
            graph.constant(before.input[1], graph.constants[before.input[1]] * factor)
        elif before.op_type in ("Add", "Sub"):
            _push(graph, before, factor)
        else:
            continue
        shift = np.frexp(factor[0])[1] - 1
        graph.exponents[node.input[0]] = graph.exponents[node.input[0]] - shift
        graph.nodes = [other for other in graph.nodes if other is not node]
        for reader in readers[node.output[0]]:
            reader.input[:] = [node.input[0] if name == node.output[0] else name for name in reader.input]
        return True
    return False


def _is_shift(graph: Graph, node: NodeProto) -> bool:
    if node.op_type != "Mul" or graph.varies(node.input[1]):
        return False
    factor = graph.constants[node.input[1]]
    return bool(np.all(factor >= 1) and np.all(np.frexp(factor)[0] == 0.5))


def _push(graph: Graph, node: NodeProto, factor: np.ndarray) -> None:
    channels = graph.channels(node.output[0])
    shift = np.broadcast_to(np.frexp(factor.reshape(-1))[1] - 1, channels)
    for k, name in enumerate(node.input):
        if not graph.varies(name):
            graph.constant(name, graph.constants[name] * factor)
            continue
        place = next(i for i, other in enumerate(graph.nodes) if other is node)
        before = graph.nodes[:place]
        same = [n for n in before if n.input[0] == name and _is_shift(graph, n)]
        same = [n for n in same if np.array_equal(*np.broadcast_arrays(graph.constants[n.input[1]], factor))]
        if same:
            node.input[k] = same[0].output[0]
        else:
            node.input[k] = multiplied(graph, before, name, shift)
            graph.nodes = [*before, *graph.nodes[place:]]
            graph.exponents[node.input[k]] = graph.exponents[name] - shift
