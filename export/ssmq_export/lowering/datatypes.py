"""Pass 5, datatypes: every tensor says which integers it holds.

1. A computed tensor gets the narrowest FINN type of its exact range, a constant that of its values.
2. Ports and what thresholds count keep the type of their format.
"""

from __future__ import annotations

from ..dataflow.datatype import integer_type
from .contract import a_pass, holds_codes, sums_products_and_thresholds, typed
from .graph import Graph
from .ranges import grids_of, is_table


@a_pass(requires=(holds_codes, sums_products_and_thresholds), ensures=(typed,))
def datatypes(graph: Graph) -> None:
    ranges = grids_of(graph)
    for node in graph.nodes:
        if node.op_type != "MultiThreshold" and not is_table(node):
            graph.datatypes[node.output[0]] = ranges[node.output[0]].datatype
    for name, codes in graph.constants.items():
        graph.datatypes[name] = integer_type(int(codes.min()), int(codes.max()))
