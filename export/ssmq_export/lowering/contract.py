"""What a pass promises: it takes a graph, gives it back, and says whether it has changed it.

``requires`` and ``ensures`` are properties of a graph, each a function that says whether it holds; a pass may be run
wherever those that it requires hold, and leaves those that it ensures. Run again, it changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper

from .graph import Graph
from .ranges import is_table

Property = Callable[[Graph], bool]
INTEGER = frozenset({"MatMul", "Mul", "Add", "Sub", "MultiThreshold"})


class Pass:
    """A function that edits a graph where it is, under its own name, with what it promises."""

    __name__: str

    def __init__(self, edit: Callable[[Graph], None], requires: tuple[Property, ...], ensures: tuple[Property, ...]):
        self.edit, self.requires, self.ensures = edit, requires, ensures
        update_wrapper(self, edit)

    def __call__(self, graph: Graph) -> tuple[Graph, bool]:
        before = graph.fingerprint()
        self.edit(graph)
        return graph, graph.fingerprint() != before


def a_pass(requires: tuple[Property, ...], ensures: tuple[Property, ...]) -> Callable[[Callable[[Graph], None]], Pass]:
    """Makes a pass of a function."""
    return lambda edit: Pass(edit, requires, ensures)


def parameters_are_constants(graph: Graph) -> bool:
    """Nothing stands between a parameter and what reads it."""
    return all(any(graph.varies(name) for name in node.input) for node in graph.nodes)


def one_reader_a_parameter(graph: Graph) -> bool:
    """A constant may be rewritten where it stands."""
    read = [name for node in graph.nodes for name in node.input if not graph.varies(name) and name in graph.exponents]
    return len(read) == len(set(read))


def sums_products_and_thresholds(graph: Graph) -> bool:
    """No function of floats is left."""
    return all(node.op_type in INTEGER for node in graph.nodes)


def holds_codes(graph: Graph) -> bool:
    """Tensors hold codes."""
    return graph.integers


def typed(graph: Graph) -> bool:
    """Every tensor and every constant has an integer type."""
    made = {name for node in graph.nodes for name in (*node.input, *node.output)}
    return made | {*graph.inputs, *graph.outputs} <= graph.datatypes.keys()


def ordered(graph: Graph) -> bool:
    """Nodes stand in an order of computation, each named after its operator and its result."""
    known = {*graph.inputs, *graph.constants}
    for node in graph.nodes:
        if not known.issuperset(node.input) or node.name != f"{node.op_type}_{node.output[0]}":
            return False
        known.update(node.output)
    return True


def tables_are_marked(graph: Graph) -> bool:
    """A table is the difference of two counts, and says so."""
    producers = graph.producers()
    counts = [node for node in graph.nodes if node.op_type == "Sub" and is_table(node)]
    return all(producers[name].op_type == "MultiThreshold" for node in counts for name in node.input)
