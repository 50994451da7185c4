"""Products, elementwise operators, labels and thresholds: legal graphs, and each with one thing changed that FINN does not take."""

from __future__ import annotations

import numpy as np
import onnx
from conversion_cases import index, ints, levels
from foreign_graphs import QONNX, Graph
from onnx import TensorProto

VECTOR = (1, 4)
TOKENS = (1, 3, 4)


def product(weight=(4, 3), shape=VECTOR, out=(1, 3), left=False, stream=False, datatype="INT4") -> onnx.ModelProto:
    g = Graph()
    x = g.input("u", shape, "INT4")
    w = g.input("w", weight, datatype) if stream else g.constant(np.arange(np.prod(weight)).reshape(weight) % 5 - 2, datatype)
    return g.model([g.node("MatMul", [w, x] if left else [x, w], out, "INT12")])


FIRST_TWO = "conversion: has a weight of the shape {}, and FINN takes the first two dimensions for its inputs and outputs: store it with two"
MATMUL = {
    "a weight": (product(), ""),
    "a weight of tokens": (product(shape=TOKENS, out=(1, 3, 3)), ""),
    "a weight from the left": (
        product((3, 1), out=(3, 4), left=True),
        "conversion: multiplies a constant from the left, and FINN streams the first operand: transpose the product",
    ),
    "a weight of one dimension": (product((4,), out=(1,)), FIRST_TWO.format("[4]")),
    "a weight of one dimension, of tokens": (product((4,), TOKENS, (1, 3)), FIRST_TWO.format("[4]")),
    "a weight of three dimensions": (product((1, 4, 3), out=(1, 1, 3)), FIRST_TWO.format("[1, 4, 3]")),
    "two streams": (product(stream=True), ""),
    "two streams of three dimensions": (product((1, 4, 3), TOKENS, (1, 3, 3), stream=True), ""),
    "two streams, the second of one dimension": (
        product((4,), TOKENS, (1, 3), stream=True),
        "conversion: has a second operand of the shape [4], and FINN wants two dimensions",
    ),
}


def bits(kinds=("BINARY", "BINARY"), weight=(4, 3), out=(1, 3), stream=False) -> onnx.ModelProto:
    g = Graph()
    x = g.input("u", VECTOR, kinds[0])
    w = g.input("w", weight, kinds[1]) if stream else g.constant(np.arange(np.prod(weight)).reshape(weight) % 2, kinds[1])
    return g.model([g.node("XnorPopcountMatMul", [x, w], out, "UINT3", domain=QONNX)])


XNOR = {
    "bits": (bits(), ""),
    "data of UINT2": (bits(("UINT2", "BINARY")), "conversion: has an operand of the type UINT2, and FINN wants BINARY"),
    "a weight of UINT2": (bits(("BINARY", "UINT2")), "conversion: has an operand of the type UINT2, and FINN wants BINARY"),
    "two streams": (bits(stream=True), "conversion: has a weight that is not constant"),
    "a weight of three dimensions": (
        bits(weight=(1, 4, 3)),
        "conversion: has a weight of the shape [1, 4, 3], and FINN wants two dimensions",
    ),
}


def joined(
    op="Add",
    kinds=("INT4", "INT4"),
    shapes=(VECTOR, VECTOR),
    constant=None,
    place=1,
    out=VECTOR,
    result="INT8",
    also="",
    **more,
) -> onnx.ModelProto:
    """Two ports, or a port and a constant, which is ``place`` of both; ``also`` is another operator in the graph."""
    g = Graph()
    names = [
        g.input(f"u{k}", shape, kind)
        for k, (shape, kind) in enumerate(zip(shapes, kinds, strict=True))
        if constant is None or k != place
    ]
    if constant is not None:
        names.insert(place, g.constant(constant, kinds[place]))
    element = TensorProto.BOOL if result == "BINARY" else TensorProto.FLOAT
    ends = [g.node(op, names, out, result, element=element, **more)]
    if also:
        element = TensorProto.BOOL if also in COMPARED else TensorProto.FLOAT
        ends.append(g.node(also, [g.input("v", VECTOR, "INT4"), g.input("w", VECTOR, "INT4")], VECTOR, "INT8", element=element))
    return g.model(ends)


def of_one_number(place: int, op="Add") -> onnx.ModelProto:
    """One operand is a number without dimensions."""
    g = Graph()
    names = [g.input("u", VECTOR, "INT4"), g.input("v", (), "INT4")]
    return g.model([g.node(op, names[:: 1 if place else -1], VECTOR, "INT8")])


COMPARED = ("Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual")
CHANGES = "conversion: reads v, a stream without dimensions: FINN changes its shape"
TWO = "conversion: joins BIPOLAR data with data as narrow, and FINN computes a type that does not hold 2: annotate one INT2"
BITS = ("BIPOLAR", "BIPOLAR")
WIDE = (1, 64)


def narrow(op: str, a, b) -> onnx.ModelProto:
    """BIPOLAR and another type or constant; wide enough that a drawn input has every pair of codes."""
    kinds = [kind if isinstance(kind, str) else "INT4" for kind in (a, b)]
    places = [k for k, kind in enumerate((a, b)) if not isinstance(kind, str)]
    constant = [np.resize((a, b)[places[0]], WIDE)] if places else None
    return joined(op, kinds, (WIDE, WIDE), constant and constant[0], *places, out=WIDE)


BIT = "BIPOLAR"
# FINN's type holds the result, whatever the operator: with two bits, or with none of the first operand's signed.
HOLD = [
    ("BINARY", "BINARY"),
    *((BIT, other) for other in ("INT2", "TERNARY", [-2], [0], [2], [1, 2], [1, -1], [1, 0], [-2, -1])),
    *((other, BIT) for other in ("BINARY", "UINT1", "INT2", "TERNARY", [-2], [-1], [0], [2], [1, -1])),
    ("INT4", [1]),
    ("BINARY", [1]),
]
TOO_NARROW = [
    *(("Add", BIT, other) for other in (BIT, "BINARY", "UINT1", [1])),
    ("Add", [1], BIT),
    *(("Sub", BIT, other) for other in (BIT, [-1], [-1, 0])),
]
WIDER = [
    ("Sub", [1], BIT),
    ("Sub", BIT, "BINARY"),
    ("Sub", BIT, "UINT1"),
    ("Sub", BIT, [1]),
    ("Add", BIT, [-1]),
    ("Add", BIT, [-1, 0]),
]
ADD = {
    **{op: (joined(op), "") for op in ("Add", "Sub", "Mul", "Div")},
    **{op: (joined(op, result="BINARY"), "") for op in COMPARED},
    "a constant": (joined(constant=[[1, 2, 3, 4]]), ""),
    "a constant first": (joined(constant=[[1, 2, 3, 4]], place=0), ""),
    "one number": (joined(constant=3), ""),
    "one number first": (joined("Mul", constant=3, place=0), ""),
    "one number of a stream": (of_one_number(1), CHANGES),
    "one number of a stream first": (of_one_number(0), CHANGES),
    "one number of a stream, for a product": (of_one_number(1, "Mul"), CHANGES),
    "one number of a stream, for a maximum": (of_one_number(1, "Max"), "conversion: is converted only with + " + CHANGES),
    "the product of two of BIPOLAR": (joined("Mul", BITS), ""),
    **{f"{op} of {a} and {b}": (narrow(op, a, b), "") for op in ("Add", "Sub") for a, b in HOLD},
    **{f"{op} of {a} and {b}": (narrow(op, a, b), TWO) for op, a, b in TOO_NARROW},
    **{f"{op} of {a} and {b}, wider": (narrow(op, a, b), "") for op, a, b in WIDER},
}
MAX_ALONE = "conversion: is converted only with two operands, in a graph with an Add, Sub, Mul or Div: make it a MultiThreshold, or Relu"


def maxima(count: int) -> onnx.ModelProto:
    g = Graph()
    names = [g.input(f"u{k}", VECTOR, "INT4") for k in range(count)]
    return g.model(
        [
            g.node("Max", names, VECTOR, "INT4"),
            g.node("Add", [g.input("v", VECTOR, "INT4"), g.constant([[2]], "INT4")], VECTOR, "INT8"),
        ]
    )


def logical(op="And", kinds=("BINARY", "BINARY")) -> onnx.ModelProto:
    g = Graph()
    names = [g.input(f"u{k}", VECTOR, kind, TensorProto.BOOL) for k, kind in enumerate(kinds)]
    return g.model([g.node(op, names, VECTOR, "BINARY", element=TensorProto.BOOL)])


MAX = {
    **{f"with {op}": (joined("Max", also=op), "") for op in ("Add", "Sub", "Mul", "Div", *COMPARED)},
    "alone": (joined("Max"), MAX_ALONE),
    "with another": (joined("Max", also="Max"), f"{MAX_ALONE} + {MAX_ALONE}"),
    "of one": (maxima(1), MAX_ALONE),
    "of two": (maxima(2), ""),
    "of three": (maxima(3), MAX_ALONE),
}
LOGICAL = {op: (logical(op), "") for op in ("And", "Or", "Xor")}


def unary(op: str, shape=VECTOR, datatype="INT4", result="UINT4") -> onnx.ModelProto:
    g = Graph()
    return g.model([g.node(op, [g.input("u", shape, datatype)], shape, result)])


RELU = {
    "integers": (unary("Relu"), ""),
    "one dimension": (unary("Relu", (4,)), "layout: "),
    "no dimension": (unary("Relu", ()), "conversion: reads u, a stream without dimensions + layout: "),
    "BIPOLAR": (
        unary("Relu", datatype="BIPOLAR"),
        "conversion: reads BIPOLAR data, for which FINN computes a type too narrow to hold 1",
    ),
    "BINARY": (unary("Relu", datatype="BINARY"), ""),
    "TERNARY": (unary("Relu", datatype="TERNARY"), ""),
}


def distance(before="Sub", read=False, output=False) -> onnx.ModelProto:
    g = Graph()
    x = g.input("u", VECTOR, "INT4")
    x = g.node(before, [x, g.input("v", VECTOR, "INT4")], VECTOR, "INT5") if before else x
    ends = [g.node("Abs", [x], VECTOR, "UINT5")]
    if read:
        ends.append(levels(g, x, VECTOR))
    return g.model([*ends, x] if output else ends)


BEHIND_SUB = "conversion: is converted only behind a Sub that nothing else reads: make it a MultiThreshold"
ABS = {
    "of a difference": (distance(), ""),
    "of a difference that is read": (distance(read=True), BEHIND_SUB),
    "of a difference that is an output": (distance(output=True), BEHIND_SUB),
    "of a sum": (distance("Add"), BEHIND_SUB),
    "of a port": (distance(""), BEHIND_SUB),
}


def labels(shape=(1, 10), axis=-1, k=1, computed=False, values="", keep=True, **more) -> onnx.ModelProto:
    g = Graph()
    x = g.input("u", shape, "INT8")
    count = index(g, "k", (1,), "UINT2") if computed else g.constant(*ints(k))
    out = [n if d != axis % len(shape) else k for d, n in enumerate(shape)]
    given = {} if axis == -1 and not keep else {"axis": axis}
    largest, indices = g.node("TopK", [x, count], [out, out], ["INT8", "UINT4"], **given, **more)
    g.infos[indices].type.tensor_type.elem_type = TensorProto.INT64
    if values == "read":
        largest = levels(g, largest, out)
    return g.model([indices, largest] if values else [indices])


READ = "conversion: has its values read, and FINN gives the indices only"
TOPK = {
    "the last axis from behind": (labels(), ""),
    "no axis": (labels(keep=False), ""),
    "the last axis": (labels(axis=1), ""),
    "the last axis of tokens": (labels((1, 3, 4), axis=2), ""),
    "the first axis": (labels((3, 4), axis=0), "conversion: chooses along axis 0, and FINN along the last one"),
    "tokens": (labels((1, 3, 4), axis=1), "conversion: chooses along axis 1, and FINN along the last one"),
    "tokens from behind": (labels((1, 3, 4), axis=-2), "conversion: chooses along axis -2, and FINN along the last one"),
    "a computed k": (labels(computed=True), "conversion: has a k that is not constant + static-shapes: + static-shapes: "),
    "the largest": (labels(largest=1), ""),
    "the smallest": (labels(largest=0), "conversion: chooses the smallest, and FINN the largest: negate the data"),
    "the values as an output": (labels(values="output"), READ),
    "the values read": (labels(values="read"), READ),
}


def thresholds(
    shape=VECTOR, rows=1, layout="", datatype="INT4", values=(-1, 1, 2), before="", also=False, level_type="INT4"
) -> onnx.ModelProto:
    """u -> (MatMul ->) MultiThreshold, one row or a row a channel."""
    g = Graph()
    x = g.input("u", shape, datatype)
    if before == "MatMul":
        x = g.node("MatMul", [x, g.constant(np.eye(shape[-1]), "UINT1")], shape, "INT8")
    elif before:
        x = g.node(before, [x, g.constant([[1]], "INT2")], shape, "INT8")
    ends = [
        g.threshold(
            x, [[v + row for v in values] for row in range(rows)], shape, "UINT2", layout=layout or None, levels=level_type
        )
    ]
    if also:
        ends.append(levels(g, x, shape))
    return g.model(ends)


def behind(op: str, kinds, shape=VECTOR, out=None, halves=False, mul_first=False) -> onnx.ModelProto:
    """Negative thresholds behind an operator of ports, each of a type; halves are quotients without an integer type."""
    g = Graph()
    names = [g.input(f"u{k}", shape, kind) for k, kind in enumerate(kinds)]
    if halves:
        names[0] = g.node("Div", [names[0], g.constant([[2]], "INT4")], shape, "FLOAT32")
    if mul_first:
        names = [g.node("Add", names, shape, "UINT8"), g.input("w", shape, kinds[0])]
    given = {"axis": len(shape) - 1} if op == "Concat" else {}
    y = g.node(op, names, out or shape, "UINT8", **given)
    return g.model([levels(g, y, out or shape, (-1, 0, 1))])


def behind_bits(values=(-1, 0, 1)) -> onnx.ModelProto:
    g = Graph()
    w = g.constant(np.arange(12).reshape(4, 3) % 2, "BINARY")
    y = g.node("XnorPopcountMatMul", [g.input("u", VECTOR, "BINARY"), w], (1, 3), "UINT3", domain=QONNX)
    return g.model([levels(g, y, (1, 3), values)])


UNSIGNED = ("UINT4", "UINT2")
IMAGE = (1, 2, 2, 4)
CHANNELS = "conversion: has its channels on axis {} (data layout {}), and FINN on the last one"
BELOW = "conversion: has thresholds below 0, and its data is {}: FINN stops at them; clip them to 0"
THRESHOLD = {
    **{
        f"{layout} of {len(shape)} dimensions": (thresholds(shape, 4, layout), "")
        for shape, layout in ((VECTOR, "NC"), (TOKENS, "NWC"), (IMAGE, "NHWC"))
    },
    "no layout, two dimensions": (thresholds(rows=4), ""),
    "no layout, three dimensions": (thresholds(TOKENS, rows=4), ""),
    "no layout, four dimensions": (thresholds(IMAGE, rows=4), CHANNELS.format(1, "NCHW")),
    "no layout, four dimensions, one row": (thresholds(IMAGE), ""),
    "NCHW, one row": (thresholds(IMAGE, layout="NCHW"), ""),
    "NCHW, a row a channel": (thresholds((1, 4, 2, 4), 4, "NCHW"), CHANNELS.format(1, "NCHW")),
    "NCW, a row a channel": (thresholds((1, 4, 4), 4, "NCW"), CHANNELS.format(1, "NCW")),
    "NC, three dimensions, a row a channel": (thresholds((1, 4, 4), 4, "NC"), CHANNELS.format(1, "NC")),
    "CN, a row a channel": (thresholds((4, 4), 4, "CN"), CHANNELS.format(0, "CN")),
    "NHWC of three dimensions": (thresholds(TOKENS, layout="NHWC"), "conversion: has the data layout NHWC and 3 dimensions"),
    "NWC of two dimensions": (thresholds(layout="NWC"), "conversion: has the data layout NWC and 2 dimensions"),
    "negative, for INT4": (thresholds(), ""),
    "negative, for UINT4": (thresholds(datatype="UINT4"), BELOW.format("UINT4")),
    "negative, for BINARY": (thresholds(datatype="BINARY"), BELOW.format("BINARY")),
    "from 0, for UINT4": (thresholds(datatype="UINT4", values=(0, 1, 2)), ""),
    **{f"negative, behind {op} of unsigned": (behind(op, UNSIGNED), "") for op in ("Add", "Sub", "Mul", "Div")},
    "negative, behind Add of unsigned halves": (behind("Add", UNSIGNED, halves=True), ""),
    "negative, behind Concat of unsigned": (behind("Concat", UNSIGNED, out=(1, 8)), BELOW.format("UINT4")),
    "negative, behind Concat of signed and unsigned": (behind("Concat", ("INT4", "UINT2"), out=(1, 8)), ""),
    "negative, behind Concat of unsigned and signed": (behind("Concat", ("UINT4", "INT2"), out=(1, 8)), ""),
    "negative, behind Concat of a sum": (behind("Concat", UNSIGNED, out=(1, 8), mul_first=True), ""),
    "negative, behind Relu": (behind("Relu", ("UINT4",)), BELOW.format("UINT8")),
    "negative, behind Relu of signed": (behind("Relu", ("INT4",)), BELOW.format("UINT8")),
    "negative, for UINT4 behind a MatMul": (thresholds(datatype="UINT4", before="MatMul"), ""),
    "negative, for UINT4 behind a MatMul that is read too": (
        thresholds(datatype="UINT4", before="MatMul", also=True),
        BELOW.format("UINT32"),
    ),
    "negative, for BINARY behind a product of bits": (behind_bits(), BELOW.format("UINT32")),
    "from 0, for BINARY behind a product of bits": (behind_bits((0, 1, 2)), ""),
    "no channels in the layout": (thresholds(layout="NW"), ""),
    "no channels in the layout, three dimensions": (thresholds((1, 4, 4), 4, "NWX"), CHANNELS.format(1, "NWX")),
    "one dimension": (
        thresholds((4,)),
        "conversion: has 1 dimensions, and MultiThreshold wants (vectors, channels) + layout: ",
    ),
    "one row of five dimensions": (thresholds((1, 1, 1, 1, 4), layout=""), "layout: "),
}

TABLES = {
    "MatMul": MATMUL,
    "XnorPopcountMatMul": XNOR,
    "Add": ADD,
    "Max": MAX,
    "And": LOGICAL,
    "Relu": RELU,
    "Abs": ABS,
    "TopK": TOPK,
    "MultiThreshold": THRESHOLD,
}
