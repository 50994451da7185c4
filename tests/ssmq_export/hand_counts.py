"""Rows of (LUT, FF, DSP, BRAM), zeros at the end left out, to add up by hand, and those of a node that is estimated."""

from __future__ import annotations

from hand_graphs import dataflow
from ssmq_export.dataflow.folding import Folding
from ssmq_export.dataflow.graph import DataflowGraph
from ssmq_export.dataflow.operation import Operation
from ssmq_export.door import admit, refuse_narrow
from ssmq_export.estimates import find_part
from ssmq_export.estimates.cost import resources

ARTY, ZYNQ_US, ECP5 = "xc7a35t", "xczu3eg", "lfe5u-25f"
# Control by cycles a step: a counter of so many bits, a LUT that tells its last value, two for valid and ready; their FFs.
CONTROL = {
    1: (1 + 1 + 2, 1 + 2),
    2: (1 + 1 + 2, 1 + 2),
    3: (2 + 1 + 2, 2 + 2),
    4: (2 + 1 + 2, 2 + 2),
    6: (3 + 1 + 2, 3 + 2),
    8: (3 + 1 + 2, 3 + 2),
    12: (4 + 1 + 2, 4 + 2),
}


def added(*rows: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sum(row[k] if k < len(row) else 0 for row in rows) for k in range(4))


def times(count: int, row: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(count * one for one in row)


def operation(draw, **types) -> Operation:
    """What makes ``y``, of an admitted graph whose tensors have ``types``; a constant has the narrowest that holds it."""
    model = dataflow(draw, **types).model()
    model = admit(model, "dataflow")
    refuse_narrow(model)
    return DataflowGraph(model).producers["y"]


def taken(found: Operation, lanes=(1,), part=ARTY, use_dsp=True) -> tuple[int, int, int, int]:
    cost = resources(found, Folding(lanes, use_dsp), find_part(part).family)
    return cost.lut, cost.ff, cost.dsp, cost.bram


def one_node(op: str, inputs: int, outputs: int, constant=None, first=False, **attributes):
    """``u`` through one node to ``y``; the constant ``w`` may come first."""

    def draw(g):
        operands = [g.input("u", inputs), "u" if constant is None else g.constant("w", constant)]
        domain = "qonnx.custom_op.general" if op == "MultiThreshold" else ""
        g.output(g.node(op, operands[::-1] if first else operands, "y", outputs, domain, **attributes), outputs)

    return draw
