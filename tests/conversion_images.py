"""Windows, pools and sums over images: legal graphs, and each with one thing changed that FINN does not take."""

from __future__ import annotations

import numpy as np
import onnx
from conversion_cases import index, ints, levels
from foreign_graphs import QONNX, Graph

IMAGE = (1, 4, 4, 4)
RANK = "conversion: has 3 dimensions, and FINN wants (batch, height, width, channels)"


TWO = "conversion: has 2 images, and FINN counts on one: export with batch 1"
IMAGES = (2, 4, 4, 4)


def kept(defaults: dict, changes: dict) -> dict:
    """Attributes; None removes one."""
    return {name: value for name, value in {**defaults, **changes}.items() if value is not None}


def windows(shape=IMAGE, out=(1, 3, 3, 16), **changes) -> onnx.ModelProto:
    defaults = {"kernel_size": [2, 2], "stride": [1, 1], "input_shape": str(shape).replace(" ", "")}
    g = Graph()
    x = g.input("u", shape, "INT4")
    return g.model([levels(g, g.node("Im2Col", [x], out, "INT4", domain=QONNX, **kept(defaults, changes)), out)])


IM2COL = {
    "windows": (windows(), ""),
    "windows apart": (windows(out=(1, 2, 2, 16), stride=[2, 2]), ""),
    "no kernel": (windows(kernel_size=None), "conversion: has no attribute kernel_size"),
    "no stride": (windows(stride=None), "conversion: has no attribute stride"),
    "no shape of the input": (windows(input_shape=None), "conversion: has no attribute input_shape"),
    "three dimensions": (windows(shape=(4, 4, 4), out=(1, 3, 3, 16)), RANK),
    "padded": (windows(out=(1, 5, 5, 16), pad_amount=[1, 1, 1, 1]), ""),
    "of two images": (windows(IMAGES, (2, 3, 3, 16)), ""),
    "of two images, padded": (windows(IMAGES, (2, 5, 5, 16), pad_amount=[1, 1, 1, 1]), TWO),
    "padded with 0": (windows(out=(1, 5, 5, 16), pad_amount=[1, 1, 1, 1], pad_value=0), ""),
    "padded with 1": (
        windows(out=(1, 5, 5, 16), pad_amount=[1, 1, 1, 1], pad_value=1),
        "conversion: pads with something other than 0",
    ),
    "padded with -1": (
        windows(out=(1, 5, 5, 16), pad_amount=[1, 1, 1, 1], pad_value=-1),
        "conversion: pads with something other than 0",
    ),
    "padded on one side with 1": (
        windows(out=(1, 3, 4, 16), pad_amount=[0, 0, 0, 1], pad_value=1),
        "conversion: pads with something",
    ),
    "not padded, with 1": (windows(pad_amount=[0, 0, 0, 0], pad_value=1), ""),
    "nothing about padding but 1": (windows(pad_value=1), ""),
}


def pool(op="MaxPoolNHWC", shape=IMAGE, out=(1, 2, 2, 4), datatype="INT4", domain=QONNX, **changes) -> onnx.ModelProto:
    defaults = {"kernel_shape": [2, 2], "strides": [2, 2], "pads": [0, 0, 0, 0]}
    g = Graph()
    x = g.input("u", shape, datatype)
    return g.model([levels(g, g.node(op, [x], out, datatype, domain=domain, **kept(defaults, changes)), out)])


NO_WINDOW = "conversion: has no kernel and strides of two dimensions"
UNREAD = "conversion: has ceil_mode, dilations or auto_pad, which FINN does not read"
PADDED = {"out": (1, 3, 3, 4), "pads": [1, 1, 1, 1]}
SIGNED = "conversion: pads signed data ({}), and FINN pads with 0 only: make it unsigned"
POOL = {
    "maxima": (pool(), ""),
    "of two images": (pool(shape=IMAGES, out=(2, 2, 2, 4)), TWO),
    "of unsigned data": (pool(datatype="UINT4"), ""),
    "overlapping": (pool(out=(1, 3, 3, 4), strides=[1, 1]), ""),
    "windows of one row": (pool(out=(1, 4, 2, 4), kernel_shape=[1, 2], strides=[1, 2]), ""),
    "windows of one column": (pool(out=(1, 2, 4, 4), kernel_shape=[2, 1], strides=[2, 1]), ""),
    "no padding named": (pool(pads=None), "conversion: has no attribute pads"),
    "no kernel": (pool(kernel_shape=None), NO_WINDOW),
    "no strides": (pool(strides=None), NO_WINDOW),
    "a kernel of one dimension": (pool(kernel_shape=[2]), NO_WINDOW),
    "a kernel of three dimensions": (pool(kernel_shape=[2, 2, 1]), NO_WINDOW),
    "strides of one dimension": (pool(strides=[2]), NO_WINDOW),
    "strides of three dimensions": (pool(strides=[2, 2, 1]), NO_WINDOW),
    "rows beyond the kernel": (
        pool(shape=(1, 5, 4, 4), strides=[3, 2]),
        "conversion: has strides [3, 2] beyond its kernel [2, 2], and FINN no hardware for it",
    ),
    "columns beyond the kernel": (
        pool(shape=(1, 4, 5, 4), strides=[2, 3]),
        "conversion: has strides [2, 3] beyond its kernel [2, 2], and",
    ),
    "three dimensions": (pool(shape=(4, 4, 4), out=(1, 2, 2, 4)), RANK),
    "padded": (pool(datatype="UINT4", **PADDED), ""),
    "padded and signed": (pool(**PADDED), SIGNED.format("INT4")),
    "padded and BIPOLAR": (pool(datatype="BIPOLAR", **PADDED), SIGNED.format("BIPOLAR")),
    "padded and BINARY": (pool(datatype="BINARY", **PADDED), ""),
    "padded on one side and signed": (pool(out=(1, 2, 2, 4), pads=[0, 0, 0, 1]), SIGNED.format("INT4")),
}


def first_pool(
    perm=(0, 2, 3, 1),
    after=True,
    end="turned",
    fork=False,
    shape=IMAGE,
    out=(1, 4, 2, 2),
    datatype="INT4",
    op="MaxPool",
    **changes,
):
    """u -> MultiThreshold -> MaxPool, channels first -> Transpose -> MultiThreshold, or less."""
    defaults = {"kernel_shape": [2, 2], "strides": [2, 2]} if op == "MaxPool" else MEAN
    g = Graph()
    x = g.input("u", shape, datatype)
    x = g.threshold(x, [[0, 1, 3]], shape, "UINT2", layout="NCHW") if after else x
    domain = QONNX if op != "MaxPool" else ""
    y = g.node(op, [x], out, "UINT2", domain=domain, **kept(defaults, changes))
    if end == "pool":
        return g.model([y])
    if end == "sum":
        return g.model([g.node("Add", [y, g.constant(np.ones(out), "INT4")], out, "INT4")])
    last = [out[k] for k in perm]
    z = g.node("Transpose", [y], last, "UINT2", perm=list(perm))
    ends = [z] if end == "turned and output" else [levels(g, z, last)] if end == "turned" else [z, levels(g, z, last)]
    if fork:
        ends.append(g.node("Add", [y, g.constant(np.ones(out), "INT4")], out, "INT4"))
    return g.model(ends)


LAST = "conversion: is turned to channels last by the last operator of the graph, and FINN stops at it: pool channels last"
HOST = "conversion: is the first operator and has channels first: FINN leaves its transposition on the host; use channels last"
FIRST_POOL = {
    "maxima": ({}, ""),
    "without turning": ({"end": "sum"}, ""),
    "last": ({"end": "pool"}, ""),
    "turned last": ({"end": "turned and output"}, LAST),
    "turned, an output and read": ({"end": "both"}, ""),
    "turned last otherwise": ({"end": "turned and output", "perm": (0, 1, 3, 2)}, ""),
    "turned last and read": ({"end": "turned and output", "fork": True}, ""),
    "first": ({"after": False}, HOST),
}
MAX_POOL = {
    **{name: (first_pool(**change), words) for name, (change, words) in FIRST_POOL.items()},
    "of two images": (first_pool(shape=IMAGES, out=(2, 4, 2, 2)), TWO),
    "three dimensions": (
        first_pool(shape=(1, 4, 4), out=(1, 4, 2), perm=(0, 2, 1), kernel_shape=[2], strides=[2]),
        f"{RANK} + {NO_WINDOW}",
    ),
    "no strides": (first_pool(out=(1, 4, 3, 3), strides=None), NO_WINDOW),
    "strides beyond the kernel": (
        first_pool(strides=[3, 2], shape=(1, 4, 5, 4)),
        "conversion: has strides [3, 2] beyond its kernel [2, 2], and",
    ),
    "padded": (first_pool(out=(1, 4, 3, 3), pads=[1, 1, 1, 1]), ""),
    "rounded up": (first_pool(shape=(1, 4, 5, 5), out=(1, 4, 3, 3), ceil_mode=1), UNREAD),
    "not rounded up": (first_pool(ceil_mode=0), ""),
    "dilated": (first_pool(shape=(1, 4, 5, 5), dilations=[2, 2]), UNREAD),
    "dilated one way": (first_pool(shape=(1, 4, 4, 5), dilations=[1, 2]), UNREAD),
    "not dilated": (first_pool(dilations=[1, 1]), ""),
    "padded automatically": (first_pool(shape=(1, 4, 3, 3), auto_pad="SAME_UPPER"), UNREAD),
    "not padded automatically": (first_pool(auto_pad="NOTSET"), ""),
}

MEAN = {"kernel": 2, "stride": 2, "ibits": 2, "obits": 2, "signed": 0}


def mean(datatype="UINT2", shape=IMAGE, out=(1, 2, 2, 4), **changes) -> onnx.ModelProto:
    g = Graph()
    x = g.input("u", shape, datatype)
    attributes = kept({**MEAN, "data_layout": "NHWC"}, changes)
    return g.model([levels(g, g.node("QuantAvgPool2d", [x], out, datatype, domain=QONNX, **attributes), out)])


MEAN_POOL = {
    **{
        f"channels first, {name}": (first_pool(op="QuantAvgPool2d", datatype="UINT2", **change), words)
        for name, (change, words) in FIRST_POOL.items()
    },
    "channels first by name": (first_pool(op="QuantAvgPool2d", datatype="UINT2", after=False, data_layout="NCHW"), HOST),
    "means": (mean(), ""),
    "of two images": (mean(shape=IMAGES, out=(2, 2, 2, 4)), TWO),
    "signed": (mean("INT2", signed=1), ""),
    "signed, of TERNARY": (mean("TERNARY", signed=1), ""),
    "unsigned, of TERNARY": (mean("TERNARY"), "conversion: is not signed, and its data is TERNARY"),
    "floats": (mean("FLOAT32"), "integer-datatypes: has the type FLOAT32"),
    "overlapping": (mean(out=(1, 3, 3, 4), stride=1), ""),
    "three dimensions": (mean(shape=(4, 4, 4)), RANK),
    "no kernel": (
        mean(kernel=None),
        "conversion: has no attribute kernel + conversion: has strides [2, 2] beyond its kernel [0, 0], and",
    ),
    "no stride": (mean(stride=None), "conversion: has no attribute stride"),
    "no ibits": (mean(ibits=None), "conversion: has no attribute ibits + conversion: has ibits 0, and its data is UINT2"),
    "no obits": (mean(obits=None), "conversion: has no attribute obits"),
    "no sign": (mean(signed=None), "conversion: has no attribute signed"),
    "strides beyond the kernel": (
        mean(stride=3, shape=(1, 5, 5, 4)),
        "conversion: has strides [3, 3] beyond its kernel [2, 2], and",
    ),
    "signed with unsigned data": (mean(signed=1), "conversion: is signed, and its data is UINT2"),
    "unsigned with signed data": (mean("INT2"), "conversion: is not signed, and its data is INT2"),
    "ibits of wider data": (mean(ibits=3), "conversion: has ibits 3, and its data is UINT2"),
    "ibits of thinner data": (mean(ibits=1), "conversion: has ibits 1, and its data is UINT2"),
}


def summed(shape=IMAGE, axes=(1, 2), computed=False, added=False, **changes) -> onnx.ModelProto:
    g = Graph()
    x = g.input("u", shape, "INT4")
    found = tuple(range(len(shape))) if axes is None else tuple(axes)
    out = np.sum(np.empty(shape), found, keepdims=bool(changes.get("keepdims", 1))).shape
    operands = [] if axes is None else [index(g, "axes", (len(axes),), "UINT2")] if computed else [g.constant(*ints(*axes))]
    y = g.node("ReduceSum", [x, *operands], out, "INT8", **changes)
    return g.model([g.node("Add", [y, g.input("v", out, "INT4")], out, "INT9")] if added else [y])


SUMS = "conversion: sums {} over {}, and FINN over axes [1, 2] of four dimensions"
REDUCE_SUM = {
    "height and width": (summed(), ""),
    "width and height": (summed(axes=(2, 1)), ""),
    "from behind": (summed(axes=(-3, -2)), ""),
    "without the dimensions": (summed(keepdims=0), ""),
    "height of width 1": (summed((1, 4, 1, 4), axes=(1,)), ""),
    "height of width 2": (summed((1, 4, 2, 4), axes=(1,)), SUMS.format([1, 4, 2, 4], "axes [1]")),
    "added": (summed(added=True), ""),
    "without the dimensions, added": (summed(keepdims=0, added=True), ""),
    "width of height 1": (summed((1, 1, 4, 4), axes=(2,)), ""),
    "neither of one pixel": (summed((1, 1, 1, 4), axes=(1,)), ""),
    "one sample of one pixel": (summed((1, 1, 1, 4), axes=(0,)), ""),
    "two samples": (summed((2, 4, 4, 4), axes=(0, 1, 2)), SUMS.format([2, 4, 4, 4], "axes [0, 1, 2]")),
    "one channel": (summed((1, 4, 4, 1), axes=(1, 2, 3)), ""),
    "width of width 1": (summed((1, 4, 1, 4), axes=(2,)), SUMS.format([1, 4, 1, 4], "axes [2]")),
    "width and channels": (summed(axes=(2, 3)), SUMS.format([*IMAGE], "axes [2, 3]")),
    "all": (summed(axes=(0, 1, 2, 3)), SUMS.format([*IMAGE], "axes [0, 1, 2, 3]")),
    "all of five dimensions": (
        summed((1, 1, 2, 2, 2), axes=(0, 1, 2, 3, 4)),
        SUMS.format([1, 1, 2, 2, 2], "axes [0, 1, 2, 3]") + " + layout: ",
    ),
    "no axis": (summed((1, 1, 1, 4), axes=(), noop_with_empty_axes=1), ""),
    "computed axes": (summed(axes=(1, 2), computed=True), SUMS.format([*IMAGE], "computed axes")),
    "tokens": (summed((1, 4, 4), axes=(1,)), SUMS.format([1, 4, 4], "axes [1]")),
    "two of three dimensions": (summed((1, 4, 4), axes=(1, 2)), SUMS.format([1, 4, 4], "axes [1, 2]")),
    "no axes": (summed(axes=None), SUMS.format([*IMAGE], "computed axes")),
}


def reduced(
    op="ReduceMax",
    axes=(-2,),
    sizes=(1, 3, 3, 4, 4),
    out=(1, 3, 3, 4),
    source="Im2Col",
    between="Reshape",
    given=None,
    computed=False,
):
    """u -> Im2Col -> Reshape (.., window, channels) -> op -> MultiThreshold; opset 18 has axes as an operand of all."""
    g = Graph(18)
    x = g.input("u", IMAGE, "INT4")
    if source == "Im2Col":
        x = g.node(
            "Im2Col",
            [x],
            (1, 3, 3, 16),
            "INT4",
            domain=QONNX,
            kernel_size=[2, 2],
            stride=[1, 1],
            input_shape="(1,4,4,4)",
            depthwise=1,
        )
    elif source == "MaxPoolNHWC":
        x = g.node(source, [x], IMAGE, "INT4", domain=QONNX, kernel_shape=[1, 1], strides=[1, 1], pads=[0] * 4)
    if between == "Reshape":
        x = g.node("Reshape", [x, g.constant(*ints(*(given or sizes)))], sizes, "INT4")
    elif between:
        x = g.node(between, [x], (1, 3, 3, 16), "INT4")
    axes = index(g, "axes", (1,), "UINT2") if computed else g.constant(*ints(*axes))
    y = g.node(op, [x, axes], out, "INT4", keepdims=0)
    return g.model([levels(g, y, out)])


WINDOWS = "conversion: is converted only over the windows of an Im2Col (Im2Col, Reshape, and this over axis -2)"
REDUCE = {
    "maxima": (reduced(), ""),
    "maxima, axis from the front": (reduced(axes=(3,)), ""),
    "maxima of a size left open": (reduced(given=(1, 3, 3, -1, 4)), ""),
    "maxima over channels": (reduced(axes=(-1,)), WINDOWS),
    "maxima over width": (reduced(axes=(2,), out=(1, 3, 4, 4)), WINDOWS),
    "maxima over two axes": (reduced(axes=(-2, -1), out=(1, 3, 3)), WINDOWS),
    "maxima over a computed axis": (reduced(computed=True), WINDOWS),
    "maxima of no Im2Col": (reduced(source="MaxPoolNHWC", sizes=(1, 4, 4, 2, 2), out=(1, 4, 4, 2)), WINDOWS),
    "maxima of a Reshape of a port": (reduced(source="", sizes=(1, 4, 4, 2, 2), out=(1, 4, 4, 2)), WINDOWS),
    "maxima of a port": (reduced(source="", between="", out=(1, 4, 4)), WINDOWS),
    "maxima of an Im2Col": (reduced(between="", out=(1, 3, 16)), WINDOWS),
    "maxima of a Relu of an Im2Col": (reduced(between="Relu", out=(1, 3, 16)), WINDOWS),
    "means": (reduced("ReduceMean"), ""),
    "means over channels": (reduced("ReduceMean", axes=(-1,)), WINDOWS),
}


def upsampled(scales=(1, 2, 2, 1), shape=IMAGE, layout="NHWC", out=(1, 8, 8, 4), computed=False, **changes) -> onnx.ModelProto:
    g = Graph(9)
    x = g.input("u", shape, "INT4")
    second = g.input("s", (len(shape),), "UINT2") if computed else g.constant(scales, None)
    y = g.node("Upsample", [x, second], out, "INT4", **kept({"mode": "nearest"}, changes))
    model = g.model([levels(g, y, out)])
    if layout:
        (port,) = [a for a in model.graph.quantization_annotation if a.tensor_name == "u"]
        port.quant_parameter_tensor_names.add(key="tensor_layout", value=str(list(layout)))
    return model


MODE = "conversion: does not repeat the nearest (mode)"
LAYOUT = "conversion: reads data whose layout is not marked as NHWC, and FINN leaves it: mark it (qonnx: InferDataLayouts)"
SCALES = "conversion: has scales other than a constant (1, h, w, 1) from 1 on"
UPSAMPLE = {
    "twice as large": (upsampled(), ""),
    "wider": (upsampled((1, 1, 3, 1), out=(1, 4, 12, 4)), ""),
    "as large": (upsampled((1, 1, 1, 1), out=IMAGE), ""),
    "linear": (upsampled(mode="linear"), MODE),
    "no mode": (upsampled(mode=None), MODE),
    "no layout": (upsampled(layout=""), LAYOUT),
    "channels first": (upsampled(layout="NCHW"), LAYOUT),
    "three dimensions": (upsampled((1, 2, 1), (1, 4, 4), "NWC", (1, 8, 4)), f"{RANK} + {LAYOUT}"),
    "more samples": (upsampled((2, 2, 2, 1), out=(2, 8, 8, 4)), SCALES),
    "more channels": (upsampled((1, 2, 2, 2), out=(1, 8, 8, 8)), SCALES),
    "smaller": (upsampled((1, 0.5, 2, 1), out=(1, 2, 8, 4)), SCALES),
    "scales that are computed": (upsampled(computed=True), f"{SCALES} + static-shapes: "),
}

TABLES = {
    "Im2Col": IM2COL,
    "MaxPoolNHWC": POOL,
    "MaxPool": MAX_POOL,
    "QuantAvgPool2d": MEAN_POOL,
    "ReduceSum": REDUCE_SUM,
    "ReduceMax": REDUCE,
    "Upsample": UPSAMPLE,
}
