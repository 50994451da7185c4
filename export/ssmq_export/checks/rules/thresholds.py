"""MultiThreshold nodes: ascending, fitting their data and their output type."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from onnx import NodeProto

from ...dataflow.attributes import number_attribute, text_attribute
from ...dataflow.datatype import integer_range
from ...dataflow.keys import TABLE_MARK
from ..catalogue import Hit, rule
from ..conversion.thresholds import absorbed
from ..tidy_view import TidyView

DEFAULT_LEVELS = 255


def _nodes(view: TidyView) -> Iterator[tuple[NodeProto, np.ndarray | None]]:
    """Nodes, and their thresholds if those are a table of numbers."""
    for node in view.nodes:
        if node.op_type == "MultiThreshold" and len(node.input) > 1:
            values = view.numbers(node.input[1])
            yield node, values if values is not None and values.ndim == 2 else None


@rule("threshold-order", "error", "sort each channel's thresholds; a function that falls needs a table (two nodes)")
def threshold_order(view: TidyView) -> Iterator[Hit]:
    """FINN finds the level by binary search, which is wrong on thresholds that do not ascend."""
    for node, values in _nodes(view):
        falling = np.zeros(0, np.int64) if values is None else np.flatnonzero((values[:, 1:] < values[:, :-1]).any(axis=1))
        if len(falling):  # compared, for a difference wraps if unsigned
            yield view.label(node), node.input[1], f"does not ascend in {len(falling)} channels, first {falling[0]}"


@rule("threshold-shape", "error", "give (channels, levels), or (1, levels) for all channels alike")
def threshold_shape(view: TidyView) -> Iterator[Hit]:
    """Thresholds are a constant memory with one row a channel, and one level at least."""
    for node in view.nodes:
        if node.op_type != "MultiThreshold" or len(node.input) < 2:
            continue
        name = node.input[1]
        if not view.is_constant(name) and (name in view.producers or name in view.inputs):
            yield view.label(node), name, "holds thresholds that are computed, not constant"
            continue
        values = view.array(name)
        shape = list(values.shape) if values is not None else view.tidied.shape(name)
        data = view.tidied.shape(node.input[0])
        if shape is None or not data:
            continue
        if len(shape) != 2 or shape[0] not in (1, data[-1]):
            yield view.label(node), name, f"has the shape {shape} for {data[-1]} channels"
        elif shape[1] == 0:
            yield view.label(node), name, "holds no level at all"


@rule(
    "threshold-output",
    "error",
    "set out_scale 1, an integer out_bias (below 0 if signed), and an out_dtype that holds every level",
)
def threshold_output(view: TidyView) -> Iterator[Hit]:
    """FINN reads the output's type and bias off these attributes; levels outside the type wrap, and a signed type counts from
    a negative bias. BIPOLAR (out_scale 2, out_bias -1) exists only right behind a MatMul."""
    for node, values in _nodes(view):
        wrong = _wrong_output(view, node, 0 if values is None else values.shape[1])
        if wrong:
            yield view.label(node), view.output(node), wrong


def _wrong_output(view: TidyView, node: NodeProto, levels: int) -> str | None:
    scale, bias = number_attribute(node, "out_scale", 1.0), number_attribute(node, "out_bias", 0.0)
    datatype = text_attribute(node, "out_dtype", "")
    limits = integer_range(datatype)
    if datatype == "BIPOLAR":
        fits = (scale, bias) == (2.0, -1.0) and absorbed(view, node)
        return None if fits else "is BIPOLAR, which FINN makes only right behind a MatMul, with out_scale 2 and out_bias -1"
    if scale != 1.0 or bias % 1:
        return f"has out_scale {scale} and out_bias {bias}"
    if limits is None:
        return f"has the out_dtype {datatype or 'none'}"
    if bias < limits[0] or bias + levels > limits[1]:
        return f"counts {int(bias)} .. {int(bias) + levels}, outside {datatype}"
    if limits[0] < 0 and bias >= 0:
        return f"is signed ({datatype}) and counts from out_bias {int(bias)}: FINN wants it below 0, or an unsigned type"
    return None


@rule("threshold-count", "warning", "use at most 8 output bits, or set FINN's requant_bitwidth_threshold above them")
def threshold_count(view: TidyView) -> Iterator[Hit]:
    """The threshold memory doubles with every bit; beyond 8 FINN's default is Requant, which rounds ties otherwise."""
    for node, values in _nodes(view):
        if values is not None and values.shape[1] > DEFAULT_LEVELS:
            yield view.label(node), node.input[1], f"has {values.shape[1]} levels a channel"


@rule("table", "info", "nothing to do; a monotone activation (ReLU, hard sigmoid) would need half the thresholds")
def table(view: TidyView) -> Iterator[Hit]:
    """A function that falls somewhere lowers to the difference of two threshold counts, a table in threshold form."""
    for node in view.nodes:
        marked = any(entry.key == TABLE_MARK for entry in node.metadata_props)
        # Without the mark: two counts of the same data, one taken from the other.
        sources = [p for name in node.input for p in view.producers.get(name, []) if p.op_type == "MultiThreshold"]
        pair = node.op_type == "Sub" and len(sources) == 2 and len({p.input[0] for p in sources if p.input}) == 1
        if marked or pair:
            yield view.label(node), view.output(node), "is a non-monotone function, lowered as a table"
