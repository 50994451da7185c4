"""Pass 3, align: values become the codes they stand for, and both sides of a join come onto one grid.

1. A port, a parameter and a row of thresholds is divided by its own power of two; ports keep theirs in the metadata.
2. The product with a quantiser's scale, behind its thresholds, disappears: the scale is the exponent of the codes.
3. A MatMul's weights come onto the finest grid of their column.
4. Where the operands of Add or Sub lie on different grids, the coarser is multiplied by a power of two, once for each
   grid asked for.
"""

from __future__ import annotations

import itertools

import numpy as np
from onnx import NodeProto

from .contract import a_pass, holds_codes, one_reader_a_parameter, sums_products_and_thresholds
from .graph import Graph, shared_row
from .ranges import codes_of, columns, is_table


@a_pass(requires=(sums_products_and_thresholds, one_reader_a_parameter), ensures=(holds_codes,))
def align(graph: Graph) -> None:
    """Raises ExportError naming a tensor whose codes need more than 62 bits."""
    if graph.integers:
        return
    _Alignment(graph).run()


class _Alignment:
    def __init__(self, graph: Graph):
        self.graph = graph
        self.written: list[NodeProto] = []
        self.shifted: dict[tuple[str, bytes], str] = {}

    def run(self) -> None:
        graph = self.graph
        exponents = {name: np.broadcast_to(graph.exponents[name], graph.channels(name)) for name in graph.inputs}
        scaled: list[tuple[str, str]] = []
        producers = graph.producers()
        for node in graph.nodes:
            counted = producers.get(node.input[0])
            if node.op_type == "Mul" and counted is not None and (counted.op_type == "MultiThreshold" or is_table(counted)):
                exponents[node.output[0]] = np.broadcast_to(graph.exponents[node.input[1]], graph.channels(node.output[0]))
                scaled.append((node.input[0], node.output[0]))
                if is_table(counted):
                    exponents.update(dict.fromkeys(counted.input, exponents[node.output[0]]))
                continue
            exponents[node.output[0]] = getattr(self, f"_{node.op_type.lower()}")(node, exponents)
            self.written.append(node)
        graph.nodes = self.written
        graph.exponents = exponents
        for codes, values in scaled:
            del exponents[codes]
            graph.rename(codes, values)
        graph.form = "dataflow"
        graph.prune()

    def _multithreshold(self, node: NodeProto, exponents: dict[str, np.ndarray]) -> np.ndarray:
        inputs, rows = exponents[node.input[0]], self.graph.constants[node.input[1]].astype(np.float64)
        self.graph.constant(node.input[1], shared_row(np.ldexp(rows, -inputs[:, None])))
        return np.zeros_like(inputs)

    def _matmul(self, node: NodeProto, exponents: dict[str, np.ndarray]) -> np.ndarray:
        codes, exponent = columns(*self._codes(node.input[1]), exponents[node.input[0]])
        self.graph.constant(node.input[1], codes)
        return exponent

    def _mul(self, node: NodeProto, exponents: dict[str, np.ndarray]) -> np.ndarray:
        return self._operand(node, 0, exponents) + self._operand(node, 1, exponents)

    def _add(self, node: NodeProto, exponents: dict[str, np.ndarray]) -> np.ndarray:
        sides = [self._operand(node, k, exponents) for k in range(2)]
        finest = np.minimum(*sides)
        for k, name in enumerate(node.input):
            shift = sides[k] - finest
            if not np.any(shift):
                continue
            if self.graph.varies(name):
                node.input[k] = self._aligned(name, shift)
                exponents[node.input[k]] = finest
            else:
                self.graph.constant(name, np.ldexp(self.graph.constants[name], shift[None]))
        return finest

    _sub = _add

    def _operand(self, node: NodeProto, k: int, exponents: dict[str, np.ndarray]) -> np.ndarray:
        """Exponents of an operand, one a channel; a constant becomes its codes."""
        name = node.input[k]
        if self.graph.varies(name):
            return exponents[name]
        codes, exponent = self._codes(name)
        self.graph.constant(name, codes)
        return np.broadcast_to(exponent.reshape(-1), self.graph.channels(node.output[0]))

    def _codes(self, constant: str) -> tuple[np.ndarray, np.ndarray]:
        found = codes_of(self.graph, constant)
        assert found is not None, constant
        return found

    def _aligned(self, name: str, shift: np.ndarray) -> str:
        key = name, shift.tobytes()
        if key not in self.shifted:
            self.shifted[key] = multiplied(self.graph, self.written, name, np.ldexp(1.0, shift))
        return self.shifted[key]


def multiplied(graph: Graph, nodes: list[NodeProto], name: str, factor: np.ndarray) -> str:
    """Append the product of ``name`` with ``factor`` ``(channels,)`` to ``nodes`` and return its name."""
    taken = {*graph.infos, *graph.constants}
    free = ("" if number == 1 else f"_{number}" for number in itertools.count(1))
    suffix = next(end for end in free if not taken & {f"{name}_aligned{end}", f"{name}_shift{end}"})
    held = factor[:1] if np.all(factor == factor[0]) else factor
    constant = graph.constant(f"{name}_shift{suffix}", held[None])
    nodes.append(graph.node("Mul", [name, constant], f"{name}_aligned{suffix}", len(factor)))
    return nodes[-1].output[0]
