"""Drawers of operators on images, ``(n, h, w, c)``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from drawing import chance, draws, holding, one_of, result, threshold, weights
from foreign_graphs import QONNX
from onnx import TensorProto
from ssmq_export.dataflow.datatype import integer_range


@dataclass
class Window:
    """Kernel, stride and padding of a side."""

    k: int
    s: int
    p: int

    def over(self, size: int, pad: bool = True) -> int:
        """What is left of a side of ``size``."""
        return (size + 2 * self.p * pad - self.k) // self.s + 1


@draws(4)
def image(g, rng, x):
    if len(x.shape) != 4:
        return None
    kind = one_of(rng, *LIKELY)
    k, s = one_of(rng, (2, 2), (2, 1), (1, 1), (1, 2))
    window = Window(k, s, one_of(rng, 0, 0, 1) if k == 2 else 0)
    return KINDS[kind](g, rng, x, kind, window)


def im2col(g, rng, x, kind, window):
    (n, h, w, c), k, s, p = x.shape, window.k, window.s, window.p
    value = one_of(rng, 0.0, 0.0, 1.0)
    shape = (n, window.over(h), window.over(w), k * k * c)
    sizes = {"kernel_size": [k, k], "stride": [s, s], "pad_amount": [p] * 4, "input_shape": f"({n},{h},{w},{c})"}
    more = {"pad_value": value, "depthwise": one_of(rng, 0, 1)}
    return result(g, kind, [x.name], shape, holding(*x.limits, 0), domain=QONNX, **sizes, **more)


def max_pool_nhwc(g, rng, x, kind, window):
    (n, h, w, c), k, s, p = x.shape, window.k, window.s, window.p
    shape = (n, window.over(h), window.over(w), c)
    return result(g, kind, [x.name], shape, x.datatype, domain=QONNX, kernel_shape=[k, k], strides=[s, s], pads=[p] * 4)


def pool(g, rng, x, kind, window):
    (n, h, w, c), k, s, p = x.shape, window.k, window.s, window.p
    strides = {} if s == 1 and chance(rng, 0.2) else {"strides": [s, s]}
    shape = (n, h, window.over(w), window.over(c))
    return result(g, kind, [x.name], shape, x.datatype, kernel_shape=[k, k], pads=[p] * 4, **strides)


def quant_average_pool(g, rng, x, kind, window):
    n, h, w, c = x.shape
    layout = one_of(rng, "NHWC", "NHWC", "NCHW")
    bits = integer_range(x.datatype)
    width = max(2, int(bits[1] - bits[0]).bit_length())
    over = lambda size: window.over(size, pad=False)  # noqa: E731
    shape = (n, over(h), over(w), c) if layout == "NHWC" else (n, h, over(w), over(c))
    widths = {"ibits": width, "obits": width, "signed": int(bits[0] < 0)}
    sizes = {"kernel": window.k, "stride": window.s}
    return result(g, kind, [x.name], shape, x.datatype, domain=QONNX, **sizes, **widths, data_layout=layout)


def global_average_pool(g, rng, x, kind, window):
    return result(g, kind, [x.name], (*x.shape[:2], 1, 1), x.datatype)


def resize(g, rng, x, kind, window):
    scales = g.constant(one_of(rng, [1, 2, 2, 1], [1, 2, 2, 1], [1, 1, 2, 2]), None)
    roi = g.constant(np.zeros(0), None) if chance(rng, 0.5) else ""
    values = np.frombuffer(next(t for t in g.constants if t.name == scales).raw_data, np.float32)
    shape = [int(a * b) for a, b in zip(x.shape, values, strict=True)]
    return result(g, kind, [x.name, roi, scales], shape, x.datatype, mode=one_of(rng, "nearest", "nearest", "linear"))


def reduce_sum(g, rng, x, kind, window):
    axes = one_of(rng, [1, 2], [-2], [-1], [1])
    keep = one_of(rng, 0, 1)
    shape = np.sum(np.empty(x.shape), tuple(axes), keepdims=bool(keep)).shape
    size = int(np.prod([x.shape[a] for a in axes]))
    names = [x.name, g.constant(axes, None, np.int64)]
    return result(g, kind, names, shape, holding(x.limits[0] * size, x.limits[1] * size), keepdims=keep)


def conv(g, rng, x, kind, window):
    n, h, w, c = x.shape
    weight, _ = weights(g, rng, (3, h, 1, 1))
    return result(g, kind, [x.name, weight], (n, 3, w, c), "INT16")


def where(g, rng, x, kind, window):
    y = threshold(g, rng, x)
    cond = g.input("k" + str(len(g.ports)), x.shape, "BINARY", TensorProto.BOOL)
    return result(g, kind, [cond, x.name, y.name], x.shape, x.datatype)


KINDS = {
    "Im2Col": im2col,
    "MaxPoolNHWC": max_pool_nhwc,
    "MaxPool": pool,
    "QuantAvgPool2d": quant_average_pool,
    "ReduceSum": reduce_sum,
    "GlobalAveragePool": global_average_pool,
    "Resize": resize,
    "AveragePool": pool,
    "Conv": conv,
    "Where": where,
}
# The more often named, the more often drawn.
LIKELY = ("Im2Col", "Im2Col", "MaxPoolNHWC", "MaxPoolNHWC", "MaxPool", "QuantAvgPool2d", "QuantAvgPool2d", "ReduceSum", "GlobalAveragePool", "Resize", "ReduceSum", "AveragePool", "Conv", "Where")  # fmt: skip
