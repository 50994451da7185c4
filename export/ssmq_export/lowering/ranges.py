"""Grid and exact range of every tensor that sums and products of codes reach, in either unit of the graph.

1. A port has the range of its format, a Quant and a MultiThreshold that of their output.
2. A product, a sum and a matrix product have the exact range of their operands'.
3. A running sum (a state that is its port plus something) is bounded by the length of the sequence, as its port says.
4. The difference of a rising and a falling count is a table; its format is the quantiser's that it replaces.

Tensors that only floats hold (behind a norm, a Clip ...) have no grid and are left out.
"""

from __future__ import annotations

import numpy as np
from onnx import NodeProto

from ..dataflow import grids
from ..dataflow.datatype import range_of
from ..dataflow.format import Format
from ..dataflow.grids import Grid
from ..dataflow.keys import TABLE_MARK
from ..errors import ExportError
from .graph import Graph


def grids_of(graph: Graph) -> dict[str, Grid]:
    """Tensor name -> grid, constants left out. Exponents are 0 where the tensors hold codes."""
    found: dict[str, Grid] = {}
    for port in graph.inputs:
        low, high = range_of(graph.datatypes[port])
        exponent = 0 if graph.integers else graph.exponents[port]
        found[port] = grids.uniform(graph.channels(port), exponent, low, high)
    for node in graph.nodes:
        try:
            grid = _grid(graph, node, found)
        except ExportError as error:
            raise ExportError(f"{node.output[0]}: {error}") from error
        if grid is not None:
            found[node.output[0]] = grid
    return found


def output_format(graph: Graph, quant: NodeProto) -> Format:
    """Format of a Quant's output; its exponent is one number or ``(channels,)``."""
    signed = next(a.i for a in quant.attribute if a.name == "signed")
    exponent = np.frexp(graph.constants[quant.input[1]].astype(np.float64))[1].astype(np.int64) - 1
    return Format(int(graph.constants[quant.input[3]]), bool(signed), exponent.reshape(-1))


def codes_of(graph: Graph, constant: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Codes and exponents of a constant, both int64 of its shape; None for one that lies on no known grid."""
    values = graph.constants[constant].astype(np.float64)
    if graph.integers:
        return values.astype(np.int64), np.zeros(values.shape, np.int64)
    if constant not in graph.exponents:
        return None
    exponent = np.broadcast_to(graph.exponents[constant], values.shape)
    return np.ldexp(values, -exponent).astype(np.int64), exponent


def columns(codes: np.ndarray, exponent: np.ndarray, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Integer weights ``(inputs, outputs)`` and the exponent of each column of their product with codes on ``inputs``.

    Zero weights say nothing about the grid: the blocks of B̄ and C must not be dragged to the finest one.
    """
    combined = exponent + inputs[:, None]
    never = np.iinfo(np.int32).max
    found = np.where(codes != 0, combined, never).min(axis=0)
    found = np.where(found == never, combined.min(axis=0), found)
    shift = np.where(codes != 0, combined - found, 0)
    if np.any(np.ldexp(np.abs(codes.astype(np.float64)), shift) >= 2.0**61):
        raise ExportError("its weights need more than 62 bits on one grid: choose narrower formats")
    return codes << shift, found


def is_table(node: NodeProto) -> bool:
    """Whether a Sub is a rising minus a falling count."""
    return any(prop.key == TABLE_MARK for prop in node.metadata_props)


def _grid(graph: Graph, node: NodeProto, found: dict[str, Grid]) -> Grid | None:
    output = node.output[0]
    if node.op_type == "Quant":
        fmt = output_format(graph, node)
        return grids.uniform(graph.channels(output), fmt.exponent, fmt.low, fmt.high)
    if node.op_type == "MultiThreshold" or is_table(node):
        low, high = range_of(graph.datatypes[output])
        if node.op_type == "MultiThreshold":
            low = int(next(a.f for a in node.attribute if a.name == "out_bias"))
            high = low + graph.constants[node.input[1]].shape[1]
        return grids.uniform(graph.channels(output), 0, low, high)
    if node.op_type == "Cast" and node.input[0] in found:
        return found[node.input[0]]
    if node.op_type not in ("MatMul", "Mul", "Add", "Sub"):
        return None
    if node.op_type == "MatMul":
        source, weight = found.get(node.input[0]), None if graph.varies(node.input[1]) else codes_of(graph, node.input[1])
        if source is None or weight is None:
            return None
        return grids.matmul(source, *columns(*weight, source.exponent))
    left, right = (found.get(name) if graph.varies(name) else _constant(graph, node, name) for name in node.input)
    if left is None or right is None:
        return None
    if node.op_type == "Mul":
        return grids.product(left, right)
    finest = np.minimum(left.exponent, right.exponent)
    running = next((name for name in node.input if graph.successors.get(name) == output), None)
    if running is not None:
        port = found[running]
        return Grid(finest, port.low, port.high)
    return grids.total(left.shifted(finest), right.shifted(finest), 1 if node.op_type == "Add" else -1)


def _constant(graph: Graph, node: NodeProto, name: str) -> Grid | None:
    known = codes_of(graph, name)
    if known is None:
        return None
    codes, exponent = known
    channels = (graph.channels(node.output[0]),)
    codes, exponent = np.broadcast_to(codes.reshape(-1), channels), np.broadcast_to(exponent.reshape(-1), channels)
    return Grid(exponent, codes, codes)
