"""Pass 2, fold: thresholds take in everything between a sum on a grid and the Quant that ends it.

1. Bias, norm, scale, activation, gate and rounding become one MultiThreshold, if the whole function is monotone; its
   thresholds are found by searching that very function over every code of the sum.
2. Where it falls in some channels (a norm with a gain below 0), those channels of the sum change their sign first.
3. A function that nothing shows to be monotone becomes a table: one MultiThreshold if it never falls, else the difference of
   a rising and a falling one.
4. Behind them a product with the quantiser's scale turns their codes into the values they stand for.
5. In double graphs the Cast behind a Quant goes with it.
"""

from __future__ import annotations

import numpy as np
from onnx import NodeProto

from ..dataflow import grids
from ..dataflow.format import Format
from ..dataflow.grids import Grid
from ..dataflow.keys import TABLE_MARK
from ..errors import ExportError
from ..functions import thresholds
from ..functions.elementwise import ELEMENTWISE, ElementwiseFunction
from .contract import (
    a_pass,
    one_reader_a_parameter,
    parameters_are_constants,
    sums_products_and_thresholds,
    tables_are_marked,
)  # fmt: skip
from .graph import Graph
from .ranges import grids_of, output_format


@a_pass(
    requires=(parameters_are_constants, one_reader_a_parameter),
    ensures=(sums_products_and_thresholds, tables_are_marked, one_reader_a_parameter),
)
def fold(graph: Graph) -> None:
    """Raises ExportError naming a function that has no threshold form."""
    known = grids_of(graph)
    producers = graph.producers()
    chains: dict[str, tuple[str, list[NodeProto]]] = {}  # tensor -> what it is a function of, and the nodes of that
    behind = {}
    for node in graph.nodes:
        if graph.restores(node, producers.get(node.input[0], node)):
            behind[node.input[0]] = node
    written: list[NodeProto] = []
    for node in graph.nodes:
        varying = [name for name in node.input if graph.varies(name)]
        if node.op_type == "Quant":
            source, nodes = chains.get(varying[0], (varying[0], []))
            if source not in known:
                raise _float(graph, known)
            output = behind.get(node.output[0], node).output[0]
            written += _counted(graph, known[source], source, [*nodes, node], output)
        elif not any(node is cast for cast in behind.values()):
            written.append(node)
            sources = {chains[name][0] if name in chains else name for name in varying}
            joins = node.op_type == "Mul" or (node.op_type in ("Add", "Sub") and node.output[0] not in known)
            if node.op_type in ELEMENTWISE and len(sources) == 1 and (len(varying) == 1 or joins):
                nodes = [n for name in varying if name in chains for n in chains[name][1]]
                unique = [n for k, n in enumerate(nodes) if not any(n is m for m in nodes[:k])]
                chains[node.output[0]] = sources.pop(), [*unique, node]
    graph.nodes = written
    graph.prune()
    known = grids_of(graph)
    if any(node.output[0] not in known for node in graph.nodes):
        raise _float(graph, known)


def _float(graph: Graph, known: dict[str, Grid]) -> ExportError:
    node = next(node for node in graph.nodes if node.output[0] not in known)
    return ExportError(
        f"node {node.name}: a float {node.op_type} reaches {node.output[0]} with no quantiser between: only functions that "
        f"end in a Quant become thresholds"
    )


def _counted(graph: Graph, grid: Grid, source: str, nodes: list[NodeProto], output: str) -> list[NodeProto]:
    """Nodes from ``source`` to ``output`` instead of the chain ``nodes``."""
    function = ElementwiseFunction(nodes, graph.constants, source, grid.exponent, graph.dtype)
    fmt = output_format(graph, nodes[-1])
    codes, signs, levels = f"{output}_codes", function.directions, np.arange(fmt.low + 1, fmt.high + 1)
    if signs is not None:
        found = thresholds.turned_thresholds(function, signs, grid.low, grid.high, levels)
        turned = [_turned(graph, source, signs, f"{output}_turned", grid.channels)] if np.any(signs < 0) else []
        source = turned[0].output[0] if turned else source
        counted = [*turned, graph.thresholds(source, codes, _values(found, grid), fmt.low, fmt.datatype)]
    else:
        outputs = thresholds.table(function, grid.low, grid.high, output)
        rising = thresholds.table_thresholds(outputs, int(grid.low.min()), levels)
        if rising is None:
            counted = _table(graph, grid, source, outputs, codes, fmt)
        else:
            counted = [graph.thresholds(source, codes, _values(rising, grid), fmt.low, fmt.datatype)]
    scale = graph.constant(f"{output}_scale", np.ldexp(1.0, fmt.exponent)[None])
    graph.exponents[scale] = graph.exponents[output] = fmt.exponent
    graph.datatypes[output] = fmt.datatype
    return [*counted, graph.node("Mul", [codes, scale], output, grid.channels)]


def _turned(graph: Graph, source: str, signs: np.ndarray, output: str, channels: int) -> NodeProto:
    factor = graph.constant(f"{output}_factor", signs[None])
    graph.exponents[factor] = np.zeros((), np.int64)
    return graph.node("Mul", [source, factor], output, channels)


def _values(codes: np.ndarray, grid: Grid) -> np.ndarray:
    return np.ldexp(codes.astype(np.float64), grid.exponent[:, None])


def _table(graph: Graph, grid: Grid, source: str, outputs: np.ndarray, codes: str, fmt: Format) -> list[NodeProto]:
    start, rises, falls = thresholds.rise_and_fall(outputs, int(grid.low.min()))
    parts, counted = [], []
    for kind, rows, bias in (("rises", rises, start), ("falls", falls, 0)):
        parts.append(f"{codes.removesuffix('_codes')}_{kind}")
        datatype = grids.integer_type(bias, bias + rows.shape[1])
        counted.append(graph.thresholds(source, parts[-1], _values(rows, grid), bias, datatype))
    difference = graph.node("Sub", parts, codes, grid.channels)
    mark = difference.metadata_props.add()
    mark.key, mark.value = TABLE_MARK, codes.removesuffix("_codes")
    graph.datatypes[codes] = fmt.datatype
    return [*counted, difference]
