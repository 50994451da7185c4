"""Constants in every form that ONNX has, as arrays. Nothing is read from outside the file."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from .attributes import integers_attribute

# A sparse or a computed constant may claim any size.
LARGEST = 1 << 24
PLAIN = {"value_float": np.float32, "value_floats": np.float32, "value_int": np.int64, "value_ints": np.int64}


def array_of(proto: TensorProto) -> np.ndarray | None:
    """A tensor's values; None if they are stored outside the file or are malformed."""
    if proto.data_location == TensorProto.EXTERNAL:
        return None
    try:
        values = numpy_helper.to_array(proto)
        # NumPy knows bfloat16, int4 and their kin as opaque bytes; float32 holds all of them.
        return values.astype(np.float32) if values.dtype.kind == "V" else values
    except Exception:  # arbitrary bytes: the decoder raises whatever it stumbles over
        return None


def sparse(proto: onnx.SparseTensorProto) -> np.ndarray | None:
    """A sparse tensor's values, dense."""
    values, at, shape = array_of(proto.values), array_of(proto.indices), list(proto.dims)
    if values is None or at is None or min(shape, default=0) < 1 or np.prod(shape, dtype=np.float64) > LARGEST:
        return None
    dense = np.zeros(shape, values.dtype)
    try:
        places = at if at.ndim == 1 else np.ravel_multi_index(tuple(at.T), shape)
        dense.reshape(-1)[places] = values
    except (ValueError, IndexError, TypeError):
        return None
    return dense


def of_node(node: onnx.NodeProto) -> np.ndarray | None:
    """What a Constant node holds."""
    for found in node.attribute:
        if found.name == "value":
            return array_of(found.t)
        if found.name == "sparse_value":
            return sparse(found.sparse_tensor)
        if found.name in PLAIN:
            try:
                return np.asarray(onnx.helper.get_attribute_value(found), PLAIN[found.name])
            except (ValueError, TypeError, OverflowError):  # an attribute of another type
                return None
    return None


# Operators by which exporters wrap a constant.
WRAPPERS: dict[str, Callable[..., np.ndarray]] = {
    "Identity": lambda x: x,
    "Neg": np.negative,
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
}
RESHAPED = frozenset({"Reshape", "Flatten", "Squeeze", "Unsqueeze"})
COMPUTED = RESHAPED | WRAPPERS.keys() | {"Transpose"}


def computed(node: onnx.NodeProto, operands: list[np.ndarray | None], shape: list[int] | None) -> np.ndarray | None:
    """What a node makes of constants, ``shape`` being that of its output; None if that is not simple."""
    if not operands or operands[0] is None or operands[0].dtype.kind not in "biuf":
        return None
    try:
        if node.op_type in RESHAPED and shape is not None:
            return operands[0].reshape(shape)
        if node.op_type == "Transpose":
            return operands[0].transpose(integers_attribute(node, "perm"))
        known = [v for v in operands if v is not None and v.dtype.kind in "biuf"]
        if node.op_type not in WRAPPERS or len(known) < len(operands):
            return None
        if np.prod(np.broadcast_shapes(*(v.shape for v in known)), dtype=np.float64) <= LARGEST:
            with np.errstate(all="ignore"):
                return WRAPPERS[node.op_type](*known)
    except (ValueError, TypeError):
        return None
    return None
