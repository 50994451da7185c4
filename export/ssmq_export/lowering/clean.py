"""Pass 1, clean: only what computes is left.

1. A parameter's Quant, and the Cast behind it in double graphs, becomes an initialiser under the name of its result.
   The parameter must lie on its own grid, a power of two.
2. The Quant of a port that changes nothing disappears: the port lies on the same grid and in the same range already.
   That of a sum stays, whatever it changes: layers read codes, and every coded tensor keeps its name.
3. A parameter that several nodes read becomes one a node: later passes rewrite constants where they stand.
"""

from __future__ import annotations

import numpy as np
from onnx import NodeProto

from ..errors import ExportError
from .contract import a_pass, one_reader_a_parameter, parameters_are_constants
from .graph import Graph
from .ranges import grids_of, output_format


@a_pass(requires=(), ensures=(parameters_are_constants, one_reader_a_parameter))
def clean(graph: Graph) -> None:
    """Raises ExportError naming a parameter that is not on its grid."""
    _parameters(graph)
    _idle_quants(graph)
    _shared(graph)


def _parameters(graph: Graph) -> None:
    kept = []
    for node in graph.nodes:
        if any(graph.varies(name) for name in node.input):
            kept.append(node)
            continue
        output = node.output[0]
        if node.op_type == "Cast" and node.input[0] in graph.exponents:
            graph.constants[output] = graph.constants[node.input[0]].astype(graph.dtype)
            graph.exponents[output] = graph.exponents[node.input[0]]
        elif node.op_type == "Quant":
            values = graph.constants[node.input[0]]
            graph.exponents[output] = _exponent(graph, node, values)
            graph.constants[output] = values
        else:
            raise ExportError(f"node {node.name}: only a Quant may stand between a parameter and its consumer")
    graph.nodes = kept


def _exponent(graph: Graph, node: NodeProto, values: np.ndarray) -> np.ndarray:
    mantissa, exponent = np.frexp(graph.constants[node.input[1]].astype(np.float64))
    if np.any(mantissa != 0.5):
        raise ExportError(f"node {node.name}: its scale is not a power of two")
    exponent = exponent.astype(np.int64) - 1
    codes, fmt = np.ldexp(values.astype(np.float64), -exponent), output_format(graph, node)
    if np.any((codes != np.rint(codes)) | (codes < fmt.low) | (codes > fmt.high)):
        raise ExportError(f"node {node.name}: parameter {node.input[0]} does not lie on its own grid")
    return exponent.reshape(-1) if exponent.size > 1 else exponent.reshape(())


def _idle_quants(graph: Graph) -> None:
    found = grids_of(graph)
    readers = graph.readers()
    for node in list(graph.nodes):
        if node.op_type != "Quant" or node.input[0] not in graph.inputs:
            continue
        source, fmt = found[node.input[0]], output_format(graph, node)
        exponents = np.broadcast_to(fmt.exponent, source.exponent.shape)
        if np.any(source.exponent != exponents) or source.low.min() < fmt.low or source.high.max() > fmt.high:
            continue
        last = node
        behind = readers.get(node.output[0], [])
        if len(behind) == 1 and graph.restores(behind[0], node):
            last = behind[0]
        if last.output[0] in graph.outputs:
            continue
        graph.replace_uses(last.output[0], node.input[0], readers.get(last.output[0], []))
        graph.nodes = [other for other in graph.nodes if other is not node and other is not last]


def _shared(graph: Graph) -> None:
    read: set[str] = set()
    for node in graph.nodes:
        for k, name in enumerate(node.input):
            if name in read:
                node.input[k] = own = f"{name}_of_{node.output[0]}"
                graph.constants[own], graph.exponents[own] = graph.constants[name], graph.exponents[name]
            elif not graph.varies(name) and name in graph.exponents:
                read.add(name)
