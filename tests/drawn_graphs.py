"""Graphs drawn from a seed: one to four operators on a stream, with axes, ranks, constants, signs, layouts and types varied.

About half of them are what FINN maps. Each drawer appends its operator to the graph and answers the new stream, or None
where the operator has no meaning on this one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from foreign_graphs import QONNX, Graph
from onnx import TensorProto
from ssmq_export.dataflow.datatype import integer_range


@dataclass
class Stream:
    name: str
    shape: tuple[int, ...]
    datatype: str

    @property
    def limits(self):
        return integer_range(self.datatype)


DRAWERS = []


def draws(weight: int = 1):
    def register(drawer):
        DRAWERS.extend([drawer] * weight)
        return drawer

    return register


def holding(*values) -> str:
    low, high = int(min(values)), int(max(values))
    if low >= 0:
        return f"UINT{max(1, high.bit_length())}"
    return f"INT{max((-low - 1).bit_length(), high.bit_length()) + 1}"


def one_of(rng, *choices):
    return choices[rng.integers(len(choices))]


def chance(rng, share: float) -> bool:
    return rng.random() < share


def draw(seed: int):
    """The model of a seed."""
    rng = np.random.default_rng(seed)
    g = Graph(one_of(rng, 13, 15, 17, 18))
    rank = one_of(rng, 2, 2, 2, 3, 4, 4)
    shape = {2: (1, 6), 3: (1, 4, 6), 4: (1, 4, 4, 6)}[rank]
    if chance(rng, 0.04):
        shape = one_of(rng, (6,), (2, 6), (1, 1, 1, 1, 6), ())
    datatype = one_of(rng, "INT4", "INT8", "UINT4", "UINT2", "INT3", "BIPOLAR") if not chance(rng, 0.03) else "FLOAT32"
    g.input("u", shape, datatype)
    streams = [Stream("u", shape, datatype)]
    if datatype == "FLOAT32" or chance(rng, 0.3):
        streams.append(threshold(g, rng, streams[-1]))
    for _ in range(one_of(rng, 1, 1, 2, 2, 3)):
        for _ in range(20):
            at = streams[-1] if chance(rng, 0.9) else one_of(rng, *streams)
            try:
                drawer = image if len(at.shape) == 4 and chance(rng, 0.4) else one_of(rng, *DRAWERS)
                found = drawer(g, rng, at)
            except (ValueError, IndexError, TypeError, ZeroDivisionError):
                found = None  # the operator means nothing here
            if found is not None and found.limits is not None:
                streams.append(found)
                break
    outputs = [streams[-1].name]
    if chance(rng, 0.05) and len(streams) > 2 and streams[-2].name not in outputs:
        outputs.append(streams[-2].name)
    if outputs == ["u"]:
        outputs = [threshold(g, rng, streams[-1]).name]
    kinds = {"inner": chance(rng, 0.8), "constant_nodes": chance(rng, 0.15), "static_inputs": chance(rng, 0.1)}
    return g.model([name for name in outputs if name != "u"], **kinds)


def weights(g, rng, shape, element=np.float32):
    values = rng.integers(-7, 8, shape)
    if chance(rng, 0.04):
        return g.constant(values + 0.5, one_of(rng, None, "INT4")), values
    return g.constant(values, None if chance(rng, 0.04) else "INT4", element), values


def result(g, op, inputs, shape, datatype, **more) -> Stream:
    return Stream(g.node(op, inputs, tuple(int(n) for n in shape), datatype, **more), tuple(int(n) for n in shape), datatype)


def threshold(g, rng, x: Stream) -> Stream:
    channels = x.shape[-1] if x.shape else 1
    rows = one_of(rng, 1, channels) if not chance(rng, 0.04) else 3
    count, datatype, bias = one_of(rng, (3, "UINT2", 0), (7, "INT3", -4), (1, "UINT1", 0), (15, "UINT4", 0))
    if chance(rng, 0.1):
        count, datatype, bias = one_of(rng, (3, "INT3", 0), (3, "INT3", 1), (3, "UINT2", 0.5), (1, "BIPOLAR", -1), (0, "UINT1", 0), (2, "UINT2", 1))
    low = 0 if x.limits is not None and x.limits[0] == 0 and not chance(rng, 0.1) else -7
    values = np.sort(rng.integers(low, 8, (rows, count)), axis=1)
    if chance(rng, 0.04):
        values = values[:, ::-1]
    layout = {2: "NC", 3: "NWC", 4: "NHWC"}.get(len(x.shape), "NC")
    if chance(rng, 0.1):
        layout = one_of(rng, "NC", "NHWC", "NCHW", "", "NCW")
    scale = one_of(rng, 1.0, 2.0, 0.5) if chance(rng, 0.06) or datatype == "BIPOLAR" else 1.0
    levels = one_of(rng, "INT4", "INT8", "INT4", "FLOAT32") if chance(rng, 0.1) else "INT4"
    domain = QONNX if not chance(rng, 0.03) else one_of(rng, "", "qonnx.custom_op.channels_last", "onnx.brevitas")
    g.domains.update({domain} - {""})
    values = values + (0.5 if levels == "FLOAT32" else 0)
    name = g.threshold(x.name, values, x.shape, datatype, domain=domain, scale=scale, bias=float(bias), layout=layout, levels=levels)
    return Stream(name, x.shape, datatype)


DRAWERS.extend([threshold] * 6)


@draws(5)
def matmul(g, rng, x):
    inner, outer = x.shape[-1], 4
    shape = one_of(rng, (inner, outer), (inner, outer), (inner, outer), (1, inner, outer), (inner,)) if chance(rng, 0.3) else (inner, outer)
    w, values = weights(g, rng, shape)
    bound = inner * 8 * max(map(abs, x.limits))
    if chance(rng, 0.06):  # the constant first
        w, _ = weights(g, rng, (outer, x.shape[-2]))
        return result(g, "MatMul", [w, x.name], np.matmul(np.empty((outer, x.shape[-2])), np.empty(x.shape)).shape, holding(-bound, bound))
    if chance(rng, 0.06) and len(x.shape) == 3:  # two streams
        y = result(g, "Transpose", [x.name], (x.shape[0], x.shape[2], x.shape[1]), x.datatype, perm=[0, 2, 1])
        return result(g, "MatMul", [x.name, y.name], (x.shape[0], x.shape[1], x.shape[1]), holding(-bound * 8, bound * 8))
    return result(g, "MatMul", [x.name, w], np.matmul(np.empty(x.shape), values).shape, holding(-bound, bound))


@draws(8)
def elementwise(g, rng, x):
    op = one_of(rng, "Add", "Sub", "Mul", "Div", "Add", "Mul", one_of(rng, "Less", "Greater", "Equal", "Max", "Min", "Pow", "And", "GreaterOrEqual"))
    channels = x.shape[-1]
    shape = one_of(rng, (), (1,), (channels,), (1, channels), x.shape, (channels, 1), (3,)) if chance(rng, 0.6) else (1, channels)
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
        names = [x.name, g.constant(amounts, None, np.int64), g.constant(one_of(rng, 0, 0, 0, 1), "UINT1"), g.constant(axes, None, np.int64)]
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
        index = g.input("i" + str(len(g.ports)), one_of(rng, (1, 4), (4,)), one_of(rng, "UINT4", "UINT4", "INT4"), one_of(rng, TensorProto.INT64, TensorProto.INT64, TensorProto.FLOAT))
        shape = (*g.ports[-1].type.tensor_type.shape.dim, 0)
        shape = [d.dim_value for d in shape[:-1]] + list(g.constants[-1].dims[1:])
        return result(g, "Gather", [table, index], shape, "INT4", axis=one_of(rng, 0, 0, 0, 1))
    at = {"range": np.arange(1, 3), "scalar": np.array(one_of(rng, 0, 1, -1)), "scattered": np.array([0, 2])}[kind]
    at = np.minimum(at, x.shape[axis] - 1)
    shape = np.take(np.empty(x.shape), at, axis).shape
    axes = {"axis": axis} if not chance(rng, 0.1) else {"axis": 0}
    if axes["axis"] == 0 and axis != 0:
        return None
    return result(g, "Gather", [x.name, g.constant(at, None, one_of(rng, np.int64, np.int64, np.int32))], shape, x.datatype, **axes)


@draws(3)
def unary(g, rng, x):
    op = one_of(rng, *["Relu"] * 8, "Identity", "Neg", "Abs", "Sign", "Dropout", "Cast", "Clip", "Floor", "Softmax", "Sigmoid")
    low, high = x.limits
    datatype = {"Relu": holding(0, max(1, high)), "Neg": holding(-high, -low), "Abs": holding(0, max(-low, high)), "Sign": "BIPOLAR", "Softmax": "UINT1", "Sigmoid": "UINT1"}
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
    values, indices = g.node("TopK", [x.name, name], [shape, shape], [x.datatype, holding(0, x.shape[axis] - 1)], axis=axis, **more)
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


@draws(4)
def image(g, rng, x):
    if len(x.shape) != 4:
        return None
    n, h, w, c = x.shape
    kind = one_of(rng, "Im2Col", "Im2Col", "MaxPoolNHWC", "MaxPoolNHWC", "MaxPool", "QuantAvgPool2d", "QuantAvgPool2d", "ReduceSum", "GlobalAveragePool", "Resize", "ReduceSum", "AveragePool", "Conv", "Where")
    k, s = one_of(rng, (2, 2), (2, 1), (1, 1), (1, 2))
    p = one_of(rng, 0, 0, 1) if k == 2 else 0
    side = lambda size: (size + 2 * p - k) // s + 1  # noqa: E731
    if kind == "Im2Col":
        value = one_of(rng, 0.0, 0.0, 1.0)
        text = f"({n},{h},{w},{c})"
        return result(g, kind, [x.name], (n, side(h), side(w), k * k * c), holding(*x.limits, 0), domain=QONNX, kernel_size=[k, k], stride=[s, s], pad_amount=[p] * 4, pad_value=value, input_shape=text, depthwise=one_of(rng, 0, 1))
    if kind == "MaxPoolNHWC":
        return result(g, kind, [x.name], (n, side(h), side(w), c), x.datatype, domain=QONNX, kernel_shape=[k, k], strides=[s, s], pads=[p] * 4)
    if kind in ("MaxPool", "AveragePool"):
        strides = {} if s == 1 and chance(rng, 0.2) else {"strides": [s, s]}
        return result(g, kind, [x.name], (n, h, side(w), side(c)), x.datatype, kernel_shape=[k, k], pads=[p] * 4, **strides)
    if kind == "QuantAvgPool2d":
        layout = one_of(rng, "NHWC", "NHWC", "NCHW")
        bits = integer_range(x.datatype)
        width = max(2, int(bits[1] - bits[0]).bit_length())
        shape = (n, (h - k) // s + 1, (w - k) // s + 1, c) if layout == "NHWC" else (n, h, (w - k) // s + 1, (c - k) // s + 1)
        return result(g, kind, [x.name], shape, x.datatype, domain=QONNX, kernel=k, stride=s, ibits=width, obits=width, signed=int(bits[0] < 0), data_layout=layout)
    if kind == "GlobalAveragePool":
        return result(g, kind, [x.name], (n, h, 1, 1), x.datatype)
    if kind == "Resize":
        scales = g.constant(one_of(rng, [1, 2, 2, 1], [1, 2, 2, 1], [1, 1, 2, 2]), None)
        roi = g.constant(np.zeros(0), None) if chance(rng, 0.5) else ""
        values = np.frombuffer(next(t for t in g.constants if t.name == scales).raw_data, np.float32)
        shape = [int(a * b) for a, b in zip(x.shape, values, strict=True)]
        return result(g, kind, [x.name, roi, scales], shape, x.datatype, mode=one_of(rng, "nearest", "nearest", "linear"))
    if kind == "ReduceSum":
        axes = one_of(rng, [1, 2], [-2], [-1], [1])
        keep = one_of(rng, 0, 1)
        shape = np.sum(np.empty(x.shape), tuple(axes), keepdims=bool(keep)).shape
        size = int(np.prod([x.shape[a] for a in axes]))
        return result(g, kind, [x.name, g.constant(axes, None, np.int64)], shape, holding(x.limits[0] * size, x.limits[1] * size), keepdims=keep)
    if kind == "Conv":
        weight, _ = weights(g, rng, (3, h, 1, 1))
        return result(g, kind, [x.name, weight], (n, 3, w, c), "INT16")
    y = threshold(g, rng, x)
    cond = g.input("k" + str(len(g.ports)), x.shape, "BINARY", TensorProto.BOOL)
    return result(g, "Where", [cond, x.name, y.name], x.shape, x.datatype)
