"""Integers everywhere: annotations, constants, widths, layout."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from onnx import TensorProto

from ..attributes import text_attribute
from ..catalogue import Hit, rule
from ..datatype import integer_range
from ..graph_view import GraphView
from .operators import MAPPED

SHOWN = 3
MAX_RANK = 4
# Integers that a float container holds exactly.
EXACT_BITS = {TensorProto.BFLOAT16: 8, TensorProto.FLOAT16: 11, TensorProto.FLOAT: 24, TensorProto.DOUBLE: 53}


def _varying(view: GraphView) -> Iterator[tuple[str, str]]:
    """(label of the producer, tensor) of every varying tensor that the other rules leave to the datatype rules."""
    for name in view.inputs:
        yield "", name
    for node in view.nodes:
        if node.op_type in MAPPED:
            for name in node.output:
                if name:
                    yield view.label(node), name


@rule("integer-datatypes", "error", "annotate the tensor with its integer type (finn_datatype), or quantise it")
def integer_datatypes(view: GraphView) -> Iterator[Hit]:
    """FINN sizes every stream by its annotated type; without one it takes FLOAT32 and maps nothing behind it."""
    if not view.lowered:
        return
    missing = [(n, t) for n, t in _varying(view) if integer_range(view.datatypes.get(t, "FLOAT32")) is None]
    for node, tensor in missing[:SHOWN]:
        yield node, tensor, f"has the type {view.datatypes.get(tensor, 'FLOAT32')}, no integer one"
    if len(missing) > SHOWN:
        yield "", "", f"{len(missing) - SHOWN} further tensors have no integer type"


def _fault(view: GraphView, name: str) -> str | None:
    """What is not integer about a constant."""
    datatype = view.datatypes.get(name, "FLOAT32")
    limits = integer_range(datatype)
    values = view.array(name)
    if values is None:
        return None  # stored outside, or malformed: other rules
    if limits is None:
        return f"is a constant of type {datatype}"
    if view.numbers(name) is None:
        return "is a constant that holds no numbers"
    if not np.all(np.isfinite(values)) or np.any(values != np.rint(values)):
        return f"is annotated {datatype} and holds values that are no integers"
    if values.size and (int(values.min()) < limits[0] or int(values.max()) > limits[1]):
        return f"is annotated {datatype} and holds values outside it"
    return None


@rule("float-initializer", "error", "fold scales into thresholds and keep integer codes in the graph (ssmq export does)")
def float_initializer(view: GraphView) -> Iterator[Hit]:
    """A float constant makes its consumer a float operator, for which FINN has no hardware."""
    if not view.lowered:
        return
    faults = []
    for name in view.initializers:
        users = [node for node in view.consumers.get(name, []) if node.op_type in MAPPED]
        fault = _fault(view, name) if users else None
        if fault:
            faults.append((view.label(users[0]), name, fault))
    yield from faults[:SHOWN]
    if len(faults) > SHOWN:
        yield "", "", f"{len(faults) - SHOWN} further constants are not integer"


@rule("accumulator-width", "error", "narrow the tensors that feed it, or keep it in a double container")
def accumulator_width(view: GraphView) -> Iterator[Hit]:
    """A float32 container holds integers exactly to 24 bits only; beyond, Python execution and hardware part ways."""
    for node, tensor in _varying(view):
        info = view.infos.get(tensor)
        limits = integer_range(view.datatypes.get(tensor, ""))
        if info is None or limits is None:
            continue
        bits = max((-limits[0]).bit_length(), limits[1].bit_length()) + (limits[0] < 0) * (limits[1] >= -limits[0])
        exact = EXACT_BITS.get(info.type.tensor_type.elem_type)
        if exact is not None and max(abs(limits[0]), limits[1] + 1) > 2**exact:
            yield node, tensor, f"is {view.datatypes[tensor]}, {bits} bits, in a container exact to {exact}"


@rule("layout", "error", "put the channels last (data_layout NC or NHWC)")
def layout(view: GraphView) -> Iterator[Hit]:
    """FINN streams are channels last, (batch, height, width, channels) at most."""
    for node in view.nodes:
        if node.op_type not in MAPPED:
            continue
        shape = view.shape(node.input[0]) if node.input else None
        rank = len(shape or ())
        found = text_attribute(node, "data_layout", "")
        if rank > MAX_RANK:
            yield view.label(node), node.input[0], f"has {rank} dimensions; streams have at most {MAX_RANK}"
        elif node.op_type == "MultiThreshold" and (found or "NCHW") not in ("NC", "NHWC", "NWC"):
            # An absent layout is NCHW, which says nothing wrong about two dimensions.
            if found or rank > 2:
                yield view.label(node), "", f"has the data layout {found or 'NCHW'}"
