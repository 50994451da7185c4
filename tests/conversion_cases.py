"""One operator between ports and thresholds: what FINN does with each, and the pieces of which the tables are made.

A case is a graph and the errors that it has, how each begins, " + " between them; none where FINN maps it.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence

import numpy as np
import onnx
from foreign_graphs import Graph
from onnx import TensorProto

MODULES = ("conversion_arithmetic", "conversion_images", "conversion_moves", "conversion_parts")
LAYOUTS = {2: "NC", 3: "NWC", 4: "NHWC"}


def ints(*values) -> tuple:
    """A constant of sizes, axes or indices."""
    return (list(values), None, np.int64)


def levels(g: Graph, x: str, shape, values: Sequence = (0, 1, 3), datatype="UINT2") -> str:
    """Thresholds that any data may meet."""
    return g.threshold(x, [list(values)], shape, datatype, layout=LAYOUTS.get(len(shape), ""))


def through(
    op: str, shape, out, *constants, after=False, datatype="INT4", result=None, opset=18, end=True, **attributes
) -> onnx.ModelProto:
    """u -> (MultiThreshold ->) op(., constants) -> MultiThreshold."""
    g = Graph(opset)
    x = g.input("u", shape, datatype)
    x = levels(g, x, shape) if after else x
    operands = [c if isinstance(c, str) else g.constant(*c) for c in constants]
    y = g.node(op, [x, *operands], out, result or datatype, **attributes)
    y = y if isinstance(y, str) else y[0]
    first = out[0] if isinstance(out[0], (list, tuple)) else out
    return g.model([levels(g, y, first) if end else y])


def index(g: Graph, name: str, shape, datatype: str) -> str:
    """A port of integers that ONNX wants in int64."""
    return g.input(name, shape, datatype, TensorProto.INT64)


def computed(op: str, shape, out, operand, *constants, kind="UINT2", **attributes) -> onnx.ModelProto:
    """The second operand is a port of ``operand`` elements."""
    g = Graph(18)
    operands = [
        g.input("u", shape, "INT4"),
        index(g, "sizes", (operand,), kind),
        *(c if isinstance(c, str) else g.constant(*c) for c in constants),
    ]
    y = g.node(op, operands, out, "INT4", **attributes)
    first, shape = (y, out) if isinstance(y, str) else (y[0], out[0])
    return g.model([levels(g, first, shape)])


def conversions() -> dict[str, tuple[onnx.ModelProto, str]]:
    """Every case by the operator and its name."""
    tables = {op: cases for module in MODULES for op, cases in importlib.import_module(module).TABLES.items()}
    return {f"{op}: {name}": case for op, cases in tables.items() for name, case in cases.items()}
