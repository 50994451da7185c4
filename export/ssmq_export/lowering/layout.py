"""Pass 6, layout: what FINN and a reader expect of the file.

1. Nodes stand in the order of computation, each named after its operator and its result.
2. A constant is named after the tensor it makes: ``T_weight``, ``T_factor``, ``T_term``, ``T_thresholds``.
3. Channels are last: MultiThreshold says so (NC).
"""

from __future__ import annotations

from onnx import NodeProto, helper

from .contract import a_pass, ordered, sums_products_and_thresholds
from .graph import Graph

ROLES = {"MatMul": "weight", "Mul": "factor", "Add": "term", "Sub": "term", "MultiThreshold": "thresholds"}


@a_pass(requires=(sums_products_and_thresholds,), ensures=(ordered,))
def layout(graph: Graph) -> None:
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
