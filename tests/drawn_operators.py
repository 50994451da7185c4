"""Drawers of operators on streams of any rank."""

from __future__ import annotations

import numpy as np
from drawing import Stream, chance, draws, holding, one_of, result, threshold, weights
from onnx import TensorProto


@draws(5)
def matmul(g, rng, x):
    inner, outer = x.shape[-1], 4
    shape = (
        one_of(rng, (inner, outer), (inner, outer), (inner, outer), (1, inner, outer), (inner,))
        if chance(rng, 0.3)
        else (inner, outer)
    )
    w, values = weights(g, rng, shape)
    bound = inner * 8 * max(map(abs, x.limits))
    if chance(rng, 0.06):  # the constant first
        w, _ = weights(g, rng, (outer, x.shape[-2]))
        return result(
            g, "MatMul", [w, x.name], np.matmul(np.empty((outer, x.shape[-2])), np.empty(x.shape)).shape, holding(-bound, bound)
        )
    if chance(rng, 0.06) and len(x.shape) == 3:  # two streams
        y = result(g, "Transpose", [x.name], (x.shape[0], x.shape[2], x.shape[1]), x.datatype, perm=[0, 2, 1])
        return result(g, "MatMul", [x.name, y.name], (x.shape[0], x.shape[1], x.shape[1]), holding(-bound * 8, bound * 8))
    return result(g, "MatMul", [x.name, w], np.matmul(np.empty(x.shape), values).shape, holding(-bound, bound))


@draws(8)
def elementwise(g, rng, x):
    op = one_of(
        rng,
        "Add",
        "Sub",
        "Mul",
        "Div",
        "Add",
        "Mul",
        one_of(rng, "Less", "Greater", "Equal", "Max", "Min", "Pow", "And", "GreaterOrEqual"),
    )
    channels = x.shape[-1]
    shape = (
        one_of(rng, (), (1,), (channels,), (1, channels), x.shape, (channels, 1), (3,)) if chance(rng, 0.6) else (1, channels)
    )
    if chance(rng, 0.25):  # another stream
        if chance(rng, 0.2):
            other, y = x.name, x
        elif chance(rng, 0.5):
            y = threshold(g, rng, x)
            other = y.name
        else:
            y = Stream("v" + str(len(g.ports)), one_of(rng, x.shape, x.shape, (1, channels), (1, 1), (2, channels)), "INT4")
            other = g.input(y.name, y.shape, y.datatype)
        values = np.array(y.limits)
        shape = y.shape
    else:
        values = rng.integers(1, 6, shape) * (1 if op == "Div" else one_of(rng, 1, -1))
        other = g.constant(values, one_of(rng, "INT4", "INT4", "INT4", None, "UINT3" if values.min() >= 0 else "INT4"))
    names = [other, x.name] if chance(rng, 0.2) else [x.name, other]
    if op in ("Less", "Greater", "Equal", "And", "GreaterOrEqual"):
        return result(g, op, names, np.broadcast_shapes(x.shape, shape), "BINARY", element=TensorProto.BOOL)
    bound = max(map(abs, x.limits)) * 8 + int(np.abs(values).max())
    return result(g, op, names, np.broadcast_shapes(x.shape, shape), holding(-bound, bound))


@draws(2)
def concat(g, rng, x):
    y = threshold(g, rng, x) if chance(rng, 0.7) else x
    axis = one_of(rng, 0, 1) if chance(rng, 0.2) else one_of(rng, -1, len(x.shape) - 1)
    names = [x.name, y.name]
    if chance(rng, 0.2):
        shape = list(x.shape)
        shape[axis] = 2
        names[1] = g.constant(rng.integers(0, 2, shape), one_of(rng, x.datatype, "INT4"))
        y = Stream(names[1], tuple(shape), "UINT1")
    if chance(rng, 0.3):
        names.reverse()
    shape = np.concatenate([np.empty(x.shape), np.empty(y.shape)], axis).shape
    return result(g, "Concat", names, shape, holding(*x.limits, *y.limits), axis=axis)


@draws(2)
def split(g, rng, x):
    axis = one_of(rng, -1, len(x.shape) - 1, 0, 1) if chance(rng, 0.5) else len(x.shape) - 1
    half = x.shape[axis] // 2
    parts = [half, x.shape[axis] - half]
    shapes = []
    for part in parts:
        shape = list(x.shape)
        shape[axis] = part
        shapes.append(shape)
    sizes = [g.constant(parts, "UINT4", np.int64)] if chance(rng, 0.85) else []
    more = {"num_outputs": 2} if g.opset >= 18 and not sizes else {}
    axes = {} if chance(rng, 0.1) and axis == 0 else {"axis": axis}
    left, right = g.node("Split", [x.name, *sizes], shapes, x.datatype, **axes, **more)
    if min(parts) < 1:
        return None
    if shapes[0] == shapes[1] and chance(rng, 0.7):
        return result(g, "Add", [left, right], shapes[0], holding(2 * x.limits[0], 2 * x.limits[1]))
    return Stream(left, tuple(shapes[0]), x.datatype)


@draws(2)
def pad(g, rng, x):
    rank = len(x.shape)
    if g.opset >= 18 and rank == 4 and chance(rng, 0.8):
        axes = one_of(rng, [1, 2], [1, 2], [1, 2], [2, 3])
        amounts = [1, 1, 1, 1]
        names = [
            x.name,
            g.constant(amounts, None, np.int64),
            g.constant(one_of(rng, 0, 0, 0, 1), "UINT1"),
            g.constant(axes, None, np.int64),
        ]
        shape = [n + 2 * (k in axes) for k, n in enumerate(x.shape)]
    else:
        amounts = [0] * rank * 2
        amounts[-1] = amounts[rank - 1] = 1
        names = [x.name, g.constant(amounts, None, np.int64)]
        if chance(rng, 0.5):
            names.append(g.constant(0, "UINT1"))
        shape = [*x.shape[:-1], x.shape[-1] + 2]
    mode = {} if chance(rng, 0.8) else {"mode": one_of(rng, "constant", "edge", "reflect")}
    return result(g, "Pad", names, shape, holding(*x.limits, 0, 1), **mode)


@draws(2)
def gather(g, rng, x):
    axis = one_of(rng, *range(len(x.shape)), -1)
    kind = one_of(rng, "range", "range", "scalar", "scattered", "table")
    if kind == "table":
        table = g.constant(rng.integers(-4, 4, (16, 5) if chance(rng, 0.8) else (16,)), "INT4")
        index = g.input(
            "i" + str(len(g.ports)),
            one_of(rng, (1, 4), (4,)),
            one_of(rng, "UINT4", "UINT4", "INT4"),
            one_of(rng, TensorProto.INT64, TensorProto.INT64, TensorProto.FLOAT),
        )
        shape = (*g.ports[-1].type.tensor_type.shape.dim, 0)
        shape = [d.dim_value for d in shape[:-1]] + list(g.constants[-1].dims[1:])
        return result(g, "Gather", [table, index], shape, "INT4", axis=one_of(rng, 0, 0, 0, 1))
    at = {"range": np.arange(1, 3), "scalar": np.array(one_of(rng, 0, 1, -1)), "scattered": np.array([0, 2])}[kind]
    at = np.minimum(at, x.shape[axis] - 1)
    shape = np.take(np.empty(x.shape), at, axis).shape
    axes = {"axis": axis} if not chance(rng, 0.1) else {"axis": 0}
    if axes["axis"] == 0 and axis != 0:
        return None
    return result(
        g, "Gather", [x.name, g.constant(at, None, one_of(rng, np.int64, np.int64, np.int32))], shape, x.datatype, **axes
    )


@draws(3)
def unary(g, rng, x):
    op = one_of(rng, *["Relu"] * 8, "Identity", "Neg", "Abs", "Sign", "Dropout", "Cast", "Clip", "Floor", "Softmax", "Sigmoid")
    low, high = x.limits
    datatype = {
        "Relu": holding(0, max(1, high)),
        "Neg": holding(-high, -low),
        "Abs": holding(0, max(-low, high)),
        "Sign": "BIPOLAR",
        "Softmax": "UINT1",
        "Sigmoid": "UINT1",
    }
    more = {"Cast": {"to": TensorProto.FLOAT}, "Softmax": {"axis": -1}}.get(op, {})
    return result(g, op, [x.name], x.shape, datatype.get(op, x.datatype), **more)


@draws(2)
def topk(g, rng, x):
    axis = one_of(rng, -1, -1, len(x.shape) - 1, 0)
    k = one_of(rng, 1, 1, 2) if x.shape[axis] > 1 else 1
    shape = list(x.shape)
    shape[axis] = k
    name = g.constant([k], "UINT2", np.int64)
    more = {} if chance(rng, 0.8) else {"largest": one_of(rng, 0, 1), "sorted": 1}
    values, indices = g.node(
        "TopK", [x.name, name], [shape, shape], [x.datatype, holding(0, x.shape[axis] - 1)], axis=axis, **more
    )
    g.infos[indices].type.tensor_type.elem_type = TensorProto.INT64
    return Stream(values if chance(rng, 0.1) else indices, tuple(shape), holding(0, x.shape[axis] - 1))


@draws(3)
def reshaped(g, rng, x):
    op = one_of(rng, "Reshape", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Transpose")
    rank, size = len(x.shape), int(np.prod(x.shape))
    if op == "Reshape":
        shape = one_of(rng, (1, size), (1, -1), (-1, x.shape[-1]), (1, 1, size), (0, size), (size,), (1, 1, 1, size))
        found = np.empty(x.shape).reshape([x.shape[k] if n == 0 else n for k, n in enumerate(shape)]).shape
        return result(g, op, [x.name, g.constant(shape, None, np.int64)], found, x.datatype)
    if op == "Flatten":
        axis = one_of(rng, 1, 1, 0, rank)
        return result(g, op, [x.name], (int(np.prod(x.shape[:axis])), int(np.prod(x.shape[axis:]))), x.datatype, axis=axis)
    if op == "Transpose":
        perm = rng.permutation(rank).tolist()
        return result(g, op, [x.name], [x.shape[k] for k in perm], x.datatype, perm=perm)
    at = g.constant([0], None, np.int64)
    shape = (1, *x.shape) if op == "Unsqueeze" else np.squeeze(np.empty(x.shape), 0).shape
    return result(g, op, [x.name, at], shape, x.datatype)
