"""Pass 6, layout: what FINN and a reader expect of the file.

1. Nodes stand in the order of computation, each named after its operator and its result.
2. A constant is named after the tensor it makes: ``T_weight``, ``T_factor``, ``T_term``, ``T_thresholds``.
3. Channels are last: MultiThreshold says so (NC).
4. Of a signed and an unsigned tensor the unsigned one is the first in a sum: of equal widths FINN counts the result of the
   other order one bit short. A difference of the two becomes the sum of the signed one and -1 times the other.
"""

from __future__ import annotations

import numpy as np
from onnx import NodeProto, helper

from ..dataflow.datatype import integer_type, range_of
from .contract import a_pass, ordered, sums_products_and_thresholds
from .graph import Graph

ROLES = {"MatMul": "weight", "Mul": "factor", "Add": "term", "Sub": "term", "MultiThreshold": "thresholds"}


@a_pass(requires=(sums_products_and_thresholds,), ensures=(ordered,))
def layout(graph: Graph) -> None:
    _order_operands(graph)
    graph.nodes = _ordered(graph)
    constants, places = {}, {}
    for node in graph.nodes:
        node.name = f"{node.op_type}_{node.output[0]}"
        if node.op_type == "MultiThreshold":
            kept = [a for a in node.attribute if a.name != "data_layout"]
            del node.attribute[:]
            node.attribute.extend([*kept, helper.make_attribute("data_layout", "NC")])
        for k, name in enumerate(node.input):
            if not graph.varies(name):
                shift = f"{node.input[0]}_shift"
                named = name if name.startswith(shift) else f"{node.output[0]}_{ROLES[node.op_type]}"
                constants[named], places[named] = graph.constants[name], graph.datatypes.get(name)
                node.input[k] = named
    graph.constants = constants
    graph.datatypes.update({name: known for name, known in places.items() if known is not None})


def _order_operands(graph: Graph) -> None:
    exact = {node.output[0] for node in graph.nodes if node.op_type == "MultiThreshold"} | {*graph.inputs}
    for node in list(graph.nodes):
        if node.op_type not in ("Add", "Sub") or not all(name in graph.datatypes for name in node.input):
            continue
        if not all(graph.varies(name) for name in node.input):
            continue
        first, second = node.input
        left, right = (range_of(graph.datatypes[name]) for name in node.input)
        if not left[0] < 0 <= right[0]:
            continue
        if node.op_type == "Add":
            node.input[:] = [second, first]
        # FINN finds widths of its own for what is computed.
        elif right[1] - right[0] == left[1] - left[0] or not {first, second} <= exact:
            turned = f"{node.output[0]}_turned"
            factor = graph.constant(f"{turned}_factor", np.array(-1.0))
            graph.datatypes |= {factor: integer_type(-1, -1), turned: integer_type(-right[1], 0)}
            graph.exponents[turned] = graph.exponents[second]
            graph.nodes.append(graph.node("Mul", [second, factor], turned, graph.channels(second)))
            node.op_type = "Add"
            node.input[:] = [first, turned]


def _ordered(graph: Graph) -> list[NodeProto]:
    """Each node as early as its operands allow, otherwise as they stood."""
    known, waiting, result = {*graph.inputs, *graph.constants}, list(graph.nodes), []
    while waiting:
        ready = [node for node in waiting if all(name in known for name in node.input)]
        node = ready[0]
        waiting = [other for other in waiting if other is not node]
        known.update(node.output)
        result.append(node)
    return result
