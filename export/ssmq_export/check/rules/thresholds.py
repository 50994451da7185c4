"""MultiThreshold nodes: ascending, fitting their data and their output type."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..attributes import number_attribute, text_attribute
from ..catalogue import Hit, rule
from ..datatype import integer_range
from ..graph_view import GraphView

DEFAULT_LEVELS = 255


def _nodes(view: GraphView) -> Iterator[tuple]:
    for node in view.nodes:
        if node.op_type == "MultiThreshold" and len(node.input) > 1:
            values = view.numbers(node.input[1])
            if values is not None and values.ndim == 2:
                yield node, values


@rule("threshold-order", "error", "sort each channel's thresholds; a function that falls needs a table (two nodes)")
def threshold_order(view: GraphView) -> Iterator[Hit]:
    """FINN finds the level by binary search, which is wrong on thresholds that do not ascend."""
    for node, values in _nodes(view):
        falling = np.flatnonzero((values[:, 1:] < values[:, :-1]).any(axis=1))  # a difference wraps if unsigned
        if falling.size:
            yield view.label(node), node.input[1], f"does not ascend in {falling.size} channels, first {falling[0]}"


@rule("threshold-shape", "error", "give (channels, levels), or (1, levels) for all channels alike")
def threshold_shape(view: GraphView) -> Iterator[Hit]:
    """Thresholds are a memory with one row a channel."""
    for node in view.nodes:
        if node.op_type != "MultiThreshold" or len(node.input) < 2:
            continue
        name = node.input[1]
        if not view.is_constant(name) and (name in view.producers or name in view.inputs):
            yield view.label(node), name, "holds thresholds that are computed, not constant"
            continue
        shape, data = view.shape(node.input[1]), view.shape(node.input[0])
        if shape is None or not data:
            continue
        if len(shape) != 2 or shape[0] not in (1, data[-1]):
            yield view.label(node), node.input[1], f"has the shape {shape} for {data[-1]} channels"


@rule("threshold-output", "error", "set out_scale 1, an integer out_bias, and an out_dtype that holds every level")
def threshold_output(view: GraphView) -> Iterator[Hit]:
    """FINN reads the output's type and bias off these attributes, not off the annotation; levels outside the type wrap."""
    for node, values in _nodes(view):
        scale, bias = number_attribute(node, "out_scale", 1.0), number_attribute(node, "out_bias", 0.0)
        datatype = text_attribute(node, "out_dtype", "")
        annotated = view.datatypes.get(view.output(node), "")
        limits = integer_range(datatype)
        if scale != 1.0 or bias % 1:
            yield view.label(node), view.output(node), f"has out_scale {scale} and out_bias {bias}"
        elif limits is None:
            yield view.label(node), view.output(node), f"has the out_dtype {datatype or 'none'}"
        elif bias < limits[0] or bias + values.shape[1] > limits[1]:
            top = int(bias) + values.shape[1]
            yield view.label(node), view.output(node), f"counts {int(bias)} .. {top}, outside {datatype}"
        elif datatype != annotated and integer_range(annotated) is not None:
            yield view.label(node), view.output(node), f"has the out_dtype {datatype} and is annotated {annotated}"


@rule("threshold-count", "warning", "use at most 8 output bits, or set FINN's requant_bitwidth_threshold above them")
def threshold_count(view: GraphView) -> Iterator[Hit]:
    """The threshold memory doubles with every bit; beyond 8 FINN's default is Requant, which rounds ties otherwise."""
    for node, values in _nodes(view):
        if values.shape[1] > DEFAULT_LEVELS:
            yield view.label(node), node.input[1], f"has {values.shape[1]} levels a channel"


@rule("table", "info", "nothing to do; a monotone activation (ReLU, hard sigmoid) would need half the thresholds")
def table(view: GraphView) -> Iterator[Hit]:
    """A function that falls somewhere lowers to the difference of two threshold counts, a table in threshold form."""
    for node in view.nodes:
        marked = any(entry.key == "ssmq.non_monotone" for entry in node.metadata_props)
        # Without the mark: two counts of the same data, one taken from the other.
        sources = [p for name in node.input for p in view.producers.get(name, []) if p.op_type == "MultiThreshold"]
        pair = node.op_type == "Sub" and len(sources) == 2 and len({p.input[0] for p in sources if p.input}) == 1
        if marked or pair:
            yield view.label(node), view.output(node), "is a non-monotone function, lowered as a table"
