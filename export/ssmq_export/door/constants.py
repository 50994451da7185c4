"""Initialisers as arrays."""

from __future__ import annotations

import math

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from ..errors import ExportError
from .names import refuse_external

TYPES: dict[int, type[np.generic]] = {
    TensorProto.FLOAT: np.float32,
    TensorProto.DOUBLE: np.float64,
    TensorProto.INT64: np.int64,
}
# 512 MB of float32 in all: sixteen layers of a thousand states with 16-bit thresholds take less.
MOST_ELEMENTS = 1 << 27
_TYPED: dict[int, str] = {TensorProto.FLOAT: "float_data", TensorProto.DOUBLE: "double_data", TensorProto.INT64: "int64_data"}


def constants_within(graph: onnx.GraphProto) -> dict[str, np.ndarray]:
    """Every initialiser and every Constant node by name. Raises ExportError naming the first that cannot be used."""
    if graph.sparse_initializer:
        name = graph.sparse_initializer[0].values.name
        raise ExportError(f"{name}: a sparse constant is not read: export the graph again")
    tensors = [(tensor.name, tensor) for tensor in graph.initializer]
    tensors += [(node.output[0], _value(node)) for node in graph.node if node.op_type == "Constant" and node.output]
    found: dict[str, np.ndarray] = {}
    room = MOST_ELEMENTS
    for name, tensor in tensors:
        if name in found:
            raise ExportError(f"{name}: two constants have this name: export the graph again")
        found[name] = _array(name, tensor, room)
        room -= found[name].size
    return found


def _value(node: onnx.NodeProto) -> onnx.TensorProto:
    if len(node.attribute) != 1 or node.attribute[0].name != "value":
        raise ExportError(f"{node.output[0]}: a Constant node holds one tensor, value: export the graph again")
    return node.attribute[0].t


def _array(name: str, tensor: onnx.TensorProto, room: int) -> np.ndarray:
    refuse_external(tensor)
    dtype = TYPES.get(tensor.data_type)
    if dtype is None:
        raise ExportError(
            f"{name}: a constant of ONNX type {tensor.data_type}, not float, double or int64: export the graph again"
        )
    size = math.prod(tensor.dims)
    if len(tensor.dims) > 4 or any(dim < 1 for dim in tensor.dims) or size > room:
        raise ExportError(
            f"{name}: a constant of the shape {list(tensor.dims)}, which is none or too large: export the graph again"
        )
    typed = len(getattr(tensor, _TYPED[tensor.data_type]))
    held = len(tensor.raw_data) / np.dtype(dtype).itemsize if tensor.HasField("raw_data") else typed
    if held != size or tensor.HasField("segment"):
        raise ExportError(f"{name}: a constant of the shape {list(tensor.dims)} with {held:g} values: export the graph again")
    values = numpy_helper.to_array(tensor)
    if not np.all(np.isfinite(values)):
        raise ExportError(f"{name}: a constant that is not finite (NaN or infinite): export the graph again")
    return values
