"""Step and dataflow graphs of a few nodes, and what their tensors stand for, computed with NumPy alone."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import onnx
from onnx import helper
from ssmq_export.dataflow.format import Format
from ssmq_export.dataflow.keys import PORTS_KEY
from ssmq_export.graphs.builder import GraphBuilder
from ssmq_export.graphs.spec import Constant
from ssmq_export.lowering.graph import Graph
from with_ports import ports_text


def fmt(bits: int, exponent=0, signed: bool = True) -> Format:
    return Format(bits, signed, np.asarray(exponent, np.int64))


def weight(values, exponent=0, bits: int = 8) -> Constant:
    """``values`` are codes."""
    codes = np.asarray(values, np.float64)
    return Constant(np.ldexp(codes, exponent), fmt(bits, exponent))


def step(draw: Callable[[GraphBuilder], None], double: bool = False, **properties: str) -> Graph:
    """A step graph; a port's format is what ``draw`` notes of it."""
    g = GraphBuilder(1, np.float64 if double else np.float32)
    draw(g)
    return Graph(g.model("step", {"ssmq.form": "step", "ssmq.length": "20", **_ports(g), **properties}))


def dataflow(draw: Callable[[GraphBuilder], None], double: bool = False, **datatypes: str) -> Graph:
    """An integer graph with exponents of 0 for the tensors of ``datatypes``."""
    g = GraphBuilder(1, np.float64 if double else np.float32)
    draw(g)
    g.formats = {name: {"datatype": kind, "exponent": 0} for name, kind in datatypes.items()}
    return Graph(g.model("dataflow", {"ssmq.form": "dataflow", "ssmq.length": "20", **_ports(g)}))


def _ports(g: GraphBuilder) -> dict[str, str]:
    sides = ({info.name: info.type.tensor_type.shape.dim[1].dim_value for info in side} for side in (g.inputs, g.outputs))
    text = ports_text(*sides)
    return {} if text is None else {PORTS_KEY: text}


def port(g: GraphBuilder, name: str, channels: int, format: Format) -> str:
    g.note_format(name, format)
    return g.input(name, channels)


def nodes(graph: Graph) -> list[tuple[str, ...]]:
    """(operator, operands ..., result) of every node."""
    return [(node.op_type, *node.input, node.output[0]) for node in graph.nodes]


def op_types(graph: Graph) -> list[str]:
    return [node.op_type for node in graph.nodes]


def attribute(node: onnx.NodeProto, name: str):
    return next((helper.get_attribute_value(a) for a in node.attribute if a.name == name), None)


def computed(graph: Graph, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Values float64 ``(rows, channels)`` of all coded tensors; ``feeds`` are the codes of the ports.

    In the float type of the graph, as the engines compute it.
    """
    model = graph.model()
    formats = json.loads(next(p.value for p in model.metadata_props if p.key == "ssmq.formats"))
    exponents = {name: np.asarray(known["exponent"]) for name, known in formats.items()}
    found = {name: values.astype(graph.dtype) for name, values in graph.constants.items()}
    fixed = set(found)
    for name in graph.inputs:
        codes = np.asarray(feeds[name], np.float64)
        found[name] = (codes if graph.integers else np.ldexp(codes, exponents[name])).astype(graph.dtype)
    for node in graph.nodes:
        operands = [found[name] for name in node.input]
        found[node.output[0]] = _OPERATORS[node.op_type](node, *operands).astype(graph.dtype)
        if all(name in fixed for name in node.input):
            fixed.add(node.output[0])
    coded = [name for name in found if name in exponents and name not in fixed]
    wide = {name: found[name].astype(np.float64) for name in coded}
    return {name: np.ldexp(wide[name], exponents[name]) if graph.integers else wide[name] for name in coded}


def _quant(node, x, scale, zero_point, bits):
    signed = attribute(node, "signed")
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    return np.clip(np.rint(x / scale), low, high) * scale


def _multi_threshold(node, x, rows):
    return attribute(node, "out_bias") + (x[:, :, None] >= rows[None]).sum(axis=2)


_OPERATORS = {
    "MatMul": lambda node, a, b: a @ b,
    "Mul": lambda node, a, b: a * b,
    "Add": lambda node, a, b: a + b,
    "Sub": lambda node, a, b: a - b,
    "Div": lambda node, a, b: a / b,
    "Neg": lambda node, a: -a,
    "Relu": lambda node, a: np.maximum(a, 0),
    "Clip": lambda node, a, low, high: np.clip(a, low, high),
    "Cast": lambda node, a: a,
    "Quant": _quant,
    "MultiThreshold": _multi_threshold,
}


def every_code(channels: int, low: int, high: int) -> np.ndarray:
    """All codes, another order in each channel."""
    codes = np.arange(low, high + 1)
    return np.stack([np.roll(codes, 3 * k) for k in range(channels)], axis=1)
