"""Types and shapes of one node's outputs: by ONNX's own inference, and for QONNX's operators by their definitions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from onnx import TypeProto, defs, helper, shape_inference

from ..dataflow.keys import QONNX_DOMAIN

STANDARD = frozenset({"", "ai.onnx"})
# Brevitas' older name of the same.
QONNX_NAMES = frozenset({QONNX_DOMAIN, "onnx.brevitas"})
# Operators with graphs in them: their inference would have to look inside.
NESTED = frozenset({"If", "Loop", "Scan", "SequenceMap"})
# Constants that decide a shape are short.
SHORT = 64


class MisfitError(Exception):
    """ONNX's definition of the operator refuses these operands; the text says why."""


def schema_of(node: onnx.NodeProto, opset: int) -> defs.OpSchema | None:
    """The definition of a standard operator, None if it has none."""
    try:
        return defs.get_schema(node.op_type, min(max(opset, 1), defs.onnx_opset_version()), "")
    except defs.SchemaError:
        return None


def dims(kind: TypeProto | None) -> list[int] | None:
    """Static shape of a type, None if unknown or not fully static."""
    if kind is None or not kind.HasField("tensor_type") or not kind.tensor_type.HasField("shape"):
        return None
    found = [d.dim_value for d in kind.tensor_type.shape.dim]
    return found if all(d > 0 for d in found) else None


def inferred(
    node: onnx.NodeProto, operands: list[TypeProto | None], constant: Callable[[str], np.ndarray | None], opset: int
) -> dict[str, TypeProto]:
    """Types of the outputs by name, as far as they can be known. Raises MisfitError."""
    if node.domain in STANDARD:
        return _standard(node, operands, constant, opset)
    rule = CUSTOM.get(node.op_type) if node.domain in QONNX_NAMES else None
    if rule is None or not node.output:
        return {}
    try:
        shape = rule({a.name: _value(a) for a in node.attribute}, [dims(kind) for kind in operands])
    except (TypeError, ValueError, KeyError, IndexError, ZeroDivisionError, OverflowError):
        return {}  # attributes that say nothing: a rule of that operator names them
    kind = operands[0] if operands else None
    if kind is None or shape is None or any(not 0 < size < 1 << 62 for size in shape):
        return {}
    return {node.output[0]: helper.make_tensor_type_proto(kind.tensor_type.elem_type, shape)}


def _standard(node, operands, constant, opset) -> dict[str, TypeProto]:
    schema = schema_of(node, opset)
    wanted = [kind for name, kind in zip(node.input, operands, strict=True) if name]
    if schema is None or node.op_type in NESTED or None in wanted:
        return {}
    data = {}
    for name in node.input:
        values = constant(name) if name else None
        if values is not None and values.dtype.kind in "iuf" and values.size <= SHORT:
            data[name] = onnx.numpy_helper.from_array(values, name)
    types = dict(zip(node.input, operands, strict=True))
    types.pop("", None)
    try:
        found = shape_inference.infer_node_outputs(
            schema, node, types, data, opset_imports=[helper.make_opsetid("", schema.since_version)]
        )
    except Exception as error:  # the C++ inference has several, and attributes of wrong types raise others
        reason = " ".join(str(error).replace("[ShapeInferenceError]", "").replace("[TypeInferenceError]", "").split())
        raise MisfitError(reason.partition(" ==> Context")[0][:160] or type(error).__name__) from error
    return dict(found)


def _value(found: onnx.AttributeProto):
    try:
        return helper.get_attribute_value(found)
    except ValueError:  # an attribute without a type
        return None


def _window(size: int, kernel: int, stride: int, pads: int, dilation: int = 1) -> int:
    return (size + pads - dilation * (kernel - 1) - 1) // stride + 1


def _im2col(a: dict, shapes: list) -> list[int] | None:
    [(n, h, w, c)] = shapes
    (kh, kw), (sh, sw), (dh, dw) = a["kernel_size"], a["stride"], a.get("dilations", (1, 1))
    top, left, bottom, right = a.get("pad_amount", (0, 0, 0, 0))
    return [n, _window(h, kh, sh, top + bottom, dh), _window(w, kw, sw, left + right, dw), kh * kw * c]


def _max_pool(a: dict, shapes: list) -> list[int] | None:
    [(n, h, w, c)] = shapes
    (kh, kw), (sh, sw), (top, left, bottom, right) = a["kernel_shape"], a["strides"], a["pads"]
    return [n, _window(h, kh, sh, top + bottom), _window(w, kw, sw, left + right), c]


def _mean_pool(a: dict, shapes: list) -> list[int] | None:
    last = a.get("data_layout", b"NCHW") == b"NHWC"
    [shape] = shapes
    n, h, w, c = shape if last else [shape[k] for k in (0, 2, 3, 1)]
    h, w = (_window(size, a["kernel"], a["stride"], 0) for size in (h, w))
    return [n, h, w, c] if last else [n, c, h, w]


def _same(a: dict, shapes: list) -> list[int] | None:
    return shapes[0]


CUSTOM: dict[str, Callable[[dict, list], list[int] | None]] = {
    **dict.fromkeys(("MultiThreshold", "Quant", "IntQuant", "BipolarQuant", "Trunc", "FloatQuant"), _same),
    "Im2Col": _im2col,
    "MaxPoolNHWC": _max_pool,
    "QuantAvgPool2d": _mean_pool,
    "XnorPopcountMatMul": lambda a, shapes: [*shapes[0][:-1], shapes[1][-1]],
}
