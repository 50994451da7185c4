"""Pass 4, shifts: a shift goes into the constant that feeds it, where nobody else needs the unshifted sum.

1. Behind a MatMul, into its weights. 2. Behind a product with a constant, into that. 3. Behind a sum, onto both of its
operands, where rules 1 and 2 may take it. Ports and thresholds are left alone: a shift behind them stays,
as does one that is a graph output. 4. A change of sign goes the same way, but only where constants take all of it; what it
makes keeps its own name, for it stands for another value.
"""

from __future__ import annotations

import numpy as np
from onnx import NodeProto

from .align import multiplied
from .contract import a_pass, holds_codes
from .graph import Graph

Readers = dict[str, list[NodeProto]]


def shifts_are_in_constants(graph: Graph) -> bool:
    """No product with powers of two stands behind a sum that nobody else reads."""
    readers, producers = graph.readers(), graph.producers()
    return not any(_foldable(graph, node, readers, producers) for node in graph.nodes)


@a_pass(requires=(holds_codes,), ensures=(shifts_are_in_constants,))
def shifts(graph: Graph) -> None:
    readers, producers = graph.readers(), graph.producers()
    place = 0
    while place < len(graph.nodes):
        node = graph.nodes[place]
        before = _foldable(graph, node, readers, producers)
        # What stands before the first node that a fold touches stays as it was judged.
        place = place + 1 if before is None else _fold(graph, place, before, readers, producers)
    graph.prune()


def _foldable(graph: Graph, node: NodeProto, readers: Readers, producers: dict[str, NodeProto]) -> NodeProto | None:
    """The node that a shift may be folded into, None if ``node`` is no shift or has none."""
    if not _is_shift(graph, node) or node.output[0] in graph.outputs:
        return None
    before = producers.get(node.input[0])
    if before is None or len(readers[node.input[0]]) > 1 or node.input[0] in graph.outputs:
        return None
    if before.op_type in ("Add", "Sub"):
        falls = np.any(graph.constants[node.input[1]] < 0)
        return before if not falls or _absorbs(graph, before, readers, producers) else None
    return before if _is_product(graph, before) else None


def _is_product(graph: Graph, node: NodeProto) -> bool:
    """Whether ``node`` multiplies with a constant."""
    return node.op_type in ("MatMul", "Mul") and not graph.varies(node.input[1])


def _absorbs(graph: Graph, node: NodeProto, readers: Readers, producers: dict[str, NodeProto]) -> bool:
    """Whether constants, and nothing else, take a factor behind ``node``."""
    if node.op_type not in ("Add", "Sub"):
        return _is_product(graph, node)
    varying = [name for name in node.input if graph.varies(name)]
    alone = all(name in producers and len(readers[name]) == 1 and name not in graph.outputs for name in varying)
    return alone and all(_absorbs(graph, producers[name], readers, producers) for name in varying)


def _fold(graph: Graph, place: int, before: NodeProto, readers: Readers, producers: dict[str, NodeProto]) -> int:
    """Fold the shift at ``place`` into ``before``; the place of the first node that was touched."""
    node = graph.nodes.pop(place)
    source, output = node.input[0], node.output[0]
    factor = graph.constants[node.input[1]]
    first = _place(graph, before, place)
    if before.op_type in ("Add", "Sub"):
        first = _push(graph, first, factor, readers, producers)
    else:
        graph.constant(before.input[1], graph.constants[before.input[1]] * factor)
    if np.any(factor < 0):
        before.output[:] = [output]
        producers[output] = producers.pop(source)
        del readers[source]
        return first
    graph.exponents[source] = graph.exponents[source] - (np.frexp(factor[0])[1] - 1)
    readers[source] = graph.replace_uses(output, source, readers.pop(output, []))
    producers.pop(output)
    return first


def _is_shift(graph: Graph, node: NodeProto) -> bool:
    if node.op_type != "Mul" or graph.varies(node.input[1]):
        return False
    factor = graph.constants[node.input[1]]
    return bool(np.all(np.abs(factor) >= 1) and np.all(np.abs(np.frexp(factor)[0]) == 0.5))


def _push(graph: Graph, place: int, factor: np.ndarray, readers: Readers, producers: dict[str, NodeProto]) -> int:
    """Shift both operands of the sum at ``place``; the place of the first node that was touched."""
    node, first = graph.nodes[place], place
    spread = np.broadcast_to(factor.reshape(-1), graph.channels(node.output[0]))
    for k, name in enumerate(node.input):
        if not graph.varies(name):
            graph.constant(name, graph.constants[name] * factor)
            continue
        here = _place(graph, node, place + k)
        earlier = [n for n in graph.nodes[:here] if n.input[0] == name and _shifts_by(graph, n, factor)]
        same = earlier[0] if earlier else None
        if same is None:
            added: list[NodeProto] = []
            node.input[k] = multiplied(graph, added, name, spread)
            graph.exponents[node.input[k]] = graph.exponents[name] - (np.frexp(spread)[1] - 1)
            graph.nodes[here:here] = added
            readers[name] += added
            producers[node.input[k]] = added[0]
        else:
            node.input[k] = same.output[0]
            first = min(first, _place(graph, same, here))
        readers[name] = [reader for reader in readers[name] if name in reader.input]
        readers.setdefault(node.input[k], []).append(node)
    return first


def _place(graph: Graph, node: NodeProto, last: int) -> int:
    """Where ``node`` stands, at ``last`` or before."""
    return next(k for k in range(min(last, len(graph.nodes) - 1), -1, -1) if graph.nodes[k] is node)


def _shifts_by(graph: Graph, node: NodeProto, factor: np.ndarray) -> bool:
    if not _is_shift(graph, node):
        return False
    own, other = np.broadcast_arrays(graph.constants[node.input[1]], factor)
    return np.array_equal(own, other)
