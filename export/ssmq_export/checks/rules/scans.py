"""Graphs of a whole sequence: the operands of DiagonalScan, and the sum over time."""

from __future__ import annotations

from collections.abc import Iterator

from ...dataflow.attributes import attribute
from ...dataflow.keys import SCAN_DOMAIN
from ...dataflow.scan_operands import INPUTS, unfit_shapes, unfit_shift, unfit_state
from ..catalogue import Hit, rule
from ..conversion import Site
from ..tidy_view import TidyView


@rule("scan-operands", "error", "export the graph again; docs/diagonal-scan.md says what fits")
def scan_operands(view: TidyView) -> Iterator[Hit]:
    """The parameters of a DiagonalScan are constants of its module, sized by each other and by the stream."""
    for node in view.nodes:
        if node.op_type != "DiagonalScan" or node.domain != SCAN_DOMAIN or len(node.input) != len(INPUTS):
            continue  # operand-count judges the number
        label, named = view.label(node), dict(zip(INPUTS, node.input, strict=True))
        computed = next((name for name in node.input[1:] if not view.is_constant(name)), None)
        known = {name: view.tidied.shape(tensor) for name, tensor in named.items()}
        shapes = {name: shape for name, shape in known.items() if shape is not None}
        if computed is not None:
            yield label, computed, "is a parameter of a DiagonalScan, and not constant"
        elif len(shapes) == len(known):
            u, shift = shapes.pop("u"), view.numbers(named["shift"])
            found = [unfit_shapes(u[-1], shapes) if len(u) == 4 and u[2] == 1 else f"u is {u}, not (B, T, 1, H)"]
            found.append(unfit_state(attribute(node, "state_bits")))
            found.append(None if shift is None else unfit_shift(shift))
            for wrong in filter(None, found):
                yield label, "", wrong


@rule("time-sum", "error", "sum over time alone (axes [1] or [1, 2], keepdims 1)")
def time_sum(view: TidyView) -> Iterator[Hit]:
    """ReduceSum becomes FINN's GlobalAccPool, which adds up a stream (1, T, 1, channels) channel by channel."""
    if SCAN_DOMAIN not in view.opsets:
        return  # hardware-op judges it
    for node in view.nodes:
        site = Site(view, node)
        shape, axes = site.shape(), site.listed(1)
        if node.op_type != "ReduceSum" or shape is None:
            continue
        found = None if axes is None else {axis % 4 for axis in axes}
        if len(shape) != 4 or shape[2] != 1 or found not in ({1}, {1, 2}) or site.integer("keepdims", 1) != 1:
            listed = "computed axes" if axes is None else f"axes {axes[:4]}"
            yield view.label(node), view.output(node), f"sums {node.input[0]} {shape} over {listed}"
