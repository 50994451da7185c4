"""Operators that join and take parts: legal graphs, and each with one thing changed that FINN does not take."""

from __future__ import annotations

import numpy as np
import onnx
from conversion_cases import computed, index, ints, levels, through
from foreign_graphs import Graph
from onnx import TensorProto

TOKENS = (1, 3, 4)
IMAGE = (1, 4, 4, 2)


def tokens(
    axis: int, *parts, shape=TOKENS, out=(1, 5, 4), order=None, types=(), stream="INT4", **float_stream
) -> onnx.ModelProto:
    """A stream joined to constants of ``parts`` shapes; ``order`` puts the stream elsewhere."""
    g = Graph()
    x = g.input("u", shape, stream)
    if float_stream:
        x = g.node("Div", [x, g.constant(2, "INT4")], shape, "FLOAT32")
    types = types or ["FLOAT32" if float_stream else stream] * len(parts)
    names = [g.constant(np.ones(part), kind) for part, kind in zip(parts, types, strict=True)]
    names.insert(order or 0, x)
    return g.model([levels(g, g.node("Concat", names, out, stream, axis=axis), out)])


def streams(axis: int, shape, out, kinds=("INT4", "INT4"), constants=()) -> onnx.ModelProto:
    """Several ports of one shape joined; FLOAT32 is a quotient that FINN gives no integer type."""
    g = Graph()
    names = []
    for k, kind in enumerate(kinds):
        name = g.input(f"u{k}", shape, "INT4" if kind == "FLOAT32" else kind)
        names.append(g.node("Div", [name, g.constant(2, "INT4")], shape, "FLOAT32") if kind == "FLOAT32" else name)
    names += [g.constant(np.ones(part), "INT4") for part in constants]
    return g.model([levels(g, g.node("Concat", names, out, "INT4", axis=axis), out)])


def flat_streams() -> onnx.ModelProto:
    """Of one dimension between two reshapings."""
    g = Graph()
    names = [g.node("Reshape", [g.input(f"u{k}", (1, 4), "INT4"), g.constant(*ints(4))], (4,), "INT4") for k in range(2)]
    y = g.node("Concat", names, (8,), "INT4", axis=0)
    return g.model([levels(g, g.node("Reshape", [y, g.constant(*ints(1, 8))], (1, 8), "INT4"), (1, 8))])


JOINED = "conversion: joins a constant, and FINN only to a stream (1, tokens, channels) along axis 1, of the same type"
CONCAT = {
    "tokens and a constant": (tokens(1, (1, 2, 4)), ""),
    "a constant and tokens": (tokens(1, (1, 2, 4), order=1), ""),
    "tokens between constants": (tokens(1, (1, 1, 4), (1, 1, 4), order=1), ""),
    "tokens and a constant, axis from behind": (tokens(-2, (1, 2, 4)), ""),
    "a constant of another type": (tokens(1, (1, 2, 4), types=["INT3"]), JOINED),
    "one constant of two of another type": (tokens(1, (1, 1, 4), (1, 1, 4), types=["INT4", "INT3"]), JOINED),
    "a constant of channels": (tokens(2, (1, 3, 1), out=(1, 3, 5)), JOINED),
    "a constant of channels, axis from behind": (tokens(-1, (1, 3, 1), out=(1, 3, 5)), JOINED),
    "a constant of samples": (tokens(0, (1, 3, 4), out=(2, 3, 4)), JOINED),
    "a constant of samples, axis from behind": (tokens(-3, (1, 3, 4), out=(2, 3, 4)), JOINED),
    "a constant and two batches": (tokens(1, (2, 2, 4), shape=(2, 3, 4), out=(2, 5, 4)), JOINED),
    "a constant and four dimensions": (tokens(1, (1, 1, 4, 2), shape=IMAGE, out=(1, 5, 4, 2)), JOINED),
    "a constant and four dimensions, axis from behind": (tokens(-2, (1, 4, 1, 2), shape=IMAGE, out=(1, 4, 5, 2)), JOINED),
    "a constant and two dimensions": (tokens(1, (1, 1), shape=(1, 4), out=(1, 5)), JOINED),
    "a constant and a float stream": (tokens(1, (1, 2, 4), float_stream=True), JOINED),
    "a constant and two streams": (streams(1, TOKENS, (1, 7, 4), constants=[(1, 1, 4)]), JOINED),
    "two streams": (streams(1, (1, 4), (1, 8)), ""),
    "three streams": (streams(1, (1, 4), (1, 12), ("INT4",) * 3), ""),
    "two streams, axis from behind": (streams(-1, (1, 4), (1, 8)), ""),
    "two streams of tokens": (streams(2, TOKENS, (1, 3, 8)), ""),
    "two streams of tokens, joined as tokens": (
        streams(1, TOKENS, (1, 6, 4)),
        "conversion: joins along axis 1, and FINN along the last one",
    ),
    "two streams, axis from behind, joined as tokens": (streams(-2, TOKENS, (1, 6, 4)), "conversion: joins along axis -2, and"),
    "the first stream float": (streams(1, (1, 4), (1, 8), ("FLOAT32", "INT4")), "conversion: joins t0_0, of the type FLOAT32"),
    "the second stream float": (streams(1, (1, 4), (1, 8), ("INT4", "FLOAT32")), "conversion: joins t0_0, of the type FLOAT32"),
    "streams of one dimension": (
        flat_streams(),
        "conversion: joins streams of one dimension, and FINN wants (vectors, channels)",
    ),
}


def parts(shape, axis, *sizes, **more) -> onnx.ModelProto:
    """Split, both parts read."""
    g = Graph(18)
    out = list(shape)
    out[0 if axis is None else axis] //= 2
    given = {} if axis is None else {"axis": axis}
    constants = [g.constant(*ints(*sizes))] if sizes else []
    left, right = g.node("Split", [g.input("u", shape, "INT4"), *constants], [out, out], "INT4", **given, **more)
    return g.model([levels(g, left, out), levels(g, right, out)])


def annotated(kind: str, behind: str, datatype="INT4") -> onnx.ModelProto:
    """Both parts annotated alike: what FINN believes until it converts the Split, which is behind Concat and MatMul."""
    g = Graph()
    x = g.input("u", (1, 8), datatype)
    left, right = g.node("Split", [x, g.constant(*ints(4, 4))], [(1, 4), (1, 4)], kind, axis=1)
    if behind == "Concat":
        return g.model([g.node("Concat", [right, left], (1, 8), datatype, axis=1)])
    if behind == "MatMul":
        return g.model(
            [g.node("MatMul", [left, g.constant(np.ones((4, 3)), "INT4")], (1, 3), "INT12"), levels(g, right, (1, 4))]
        )
    return g.model([levels(g, name, (1, 4), (-1, 0, 1)) for name in (left, right)])


BELOW = "conversion: has thresholds below 0, and its data is UINT4"
SPLIT = {
    **{
        f"annotated {kind} before {op}": (annotated(kind, op), "")
        for kind in ("INT8", "UINT4")
        for op in ("Concat", "MatMul", "")
    },
    "not annotated before Concat": (
        annotated("FLOAT32", "Concat"),
        "conversion: joins t0_1, of the type + conversion: joins t0_0, of the",
    ),
    "not annotated before MatMul": (annotated("FLOAT32", "MatMul"), "integer-datatypes: has the type FLOAT32"),
    "not annotated before thresholds": (annotated("FLOAT32", ""), ""),
    "of UINT4 before thresholds": (annotated("INT4", "", "UINT4"), f"{BELOW} + {BELOW}"),
    "two parts": (parts((1, 4), 1, 2, 2), ""),
    "two parts, axis from behind": (parts((1, 4), -1, 2, 2), ""),
    "two parts of tokens": (parts(TOKENS, 2, 2, 2), ""),
    "two parts of an image": (parts(IMAGE, 3, 1, 1), ""),
    "of tokens along axis 1": (parts((1, 4, 4), 1, 2, 2), "conversion: splits axis 1, and FINN the last one"),
    "of tokens along axis -2": (parts((1, 4, 4), -2, 2, 2), "conversion: splits axis -2, and FINN the last one"),
    "of samples": (parts((2, 4), 0, 1, 1), "conversion: splits axis 0, and FINN the last one"),
    "without an axis": (parts((2, 4), None, 1, 1), "conversion: splits axis 0, and FINN the last one"),
    "a number of parts": (parts((1, 4), 1, num_outputs=2), "conversion: has no constant operand with the sizes of its parts"),
    "computed sizes": (computed("Split", (1, 4), [(1, 2), (1, 2)], 2, axis=1), "conversion: has no constant operand"),
}

ROUND = ints(1, 1, 1, 1)
ZERO, AXES = ([0], "INT4"), ints(1, 2)
OUTER = (1, 6, 6, 2)
OTHER_AXES = "conversion: has no constant axes [1, 2] as its fourth operand"
OTHER_VALUE = "conversion: pads with something other than a constant 0"


def computed_pad(place: int) -> onnx.ModelProto:
    g = Graph(18)
    operands = [g.input("u", IMAGE, "INT4"), g.constant(*ROUND), g.constant(0, "INT4"), g.constant(*AXES)]
    computed = {
        1: lambda: index(g, "p", (4,), "UINT2"),
        2: lambda: g.input("p", (), "INT4"),
        3: lambda: index(g, "p", (2,), "UINT2"),
    }
    operands[place] = computed[place]()
    return g.model([levels(g, g.node("Pad", operands, OUTER, "INT4"), OUTER)])


PAD = {
    "height and width": (through("Pad", IMAGE, OUTER, ROUND, (0, "INT4"), AXES), ""),
    "mode constant": (through("Pad", IMAGE, OUTER, ROUND, (0, "INT4"), AXES, mode="constant"), ""),
    "mode edge": (
        through("Pad", IMAGE, OUTER, ROUND, (0, "INT4"), AXES, mode="edge"),
        "conversion: pads by the mode edge, and FINN with zeros only",
    ),
    "three dimensions": (
        through("Pad", (1, 4, 4), (1, 6, 6), ROUND, (0, "INT4"), AXES),
        "conversion: pads 3 dimensions, and FINN the four of (batch, height, width, channels) only",
    ),
    "five dimensions": (
        through("Pad", (1, 4, 4, 2, 2), (1, 6, 6, 2, 2), ROUND, (0, "INT4"), AXES),
        "conversion: pads 5 dimensions, and + layout: has 5 dimensions",
    ),
    "no axes": (through("Pad", IMAGE, OUTER, ints(0, 1, 1, 0, 0, 1, 1, 0), (0, "INT4")), OTHER_AXES),
    "an operand more for the axes": (through("Pad", IMAGE, OUTER, ints(0, 1, 1, 0, 0, 1, 1, 0), (0, "INT4"), ""), OTHER_AXES),
    "axes of width and channels": (through("Pad", IMAGE, (1, 4, 6, 4), ROUND, (0, "INT4"), ints(2, 3)), OTHER_AXES),
    "axes of width and height": (through("Pad", IMAGE, OUTER, ROUND, (0, "INT4"), ints(2, 1)), OTHER_AXES),
    "axes from behind": (through("Pad", IMAGE, OUTER, ROUND, (0, "INT4"), ints(-3, -2)), OTHER_AXES),
    "one axis": (through("Pad", IMAGE, (1, 6, 4, 2), ints(1, 1), (0, "INT4"), ints(1)), OTHER_AXES),
    "computed axes": (computed_pad(3), OTHER_AXES),
    "ones": (through("Pad", IMAGE, OUTER, ROUND, (1, "INT4"), AXES), OTHER_VALUE),
    "minus ones": (through("Pad", IMAGE, OUTER, ROUND, (-1, "INT4"), AXES), OTHER_VALUE),
    "no value": (through("Pad", IMAGE, OUTER, ROUND, "", AXES), OTHER_VALUE),
    "a computed value": (computed_pad(2), OTHER_VALUE),
    "computed padding": (
        computed_pad(1),
        "conversion: has padding that is not constant + static-shapes: has no fully static shape",
    ),
}


def looked_up(axis=0, table=(16, 5), kind="UINT4", element=TensorProto.INT64) -> onnx.ModelProto:
    g = Graph()
    at = g.input("u", (1, 4), kind, element)
    rows = np.arange(np.prod(table)).reshape(table) % 8
    out = np.take(rows, np.zeros((1, 4), int), axis).shape
    given = {} if axis == "none" else {"axis": axis}
    return g.model([levels(g, g.node("Gather", [g.constant(rows, "INT4"), at], out, "INT4", **given), out)])


def table_without_axis() -> onnx.ModelProto:
    g = Graph()
    at = index(g, "u", (1, 4), "UINT4")
    return g.model([levels(g, g.node("Gather", [g.constant(np.ones((16, 5)), "INT4"), at], (1, 4, 5), "INT4"), (1, 4, 5))])


def taken(shape, axis, at, dtype=np.int64, **more) -> onnx.ModelProto:
    out = np.take(np.empty(shape), at, axis or 0).shape
    given = {} if axis is None else {"axis": axis}
    return through("Gather", shape, out, (at, None, dtype), **given, **more)


def token(at: int) -> onnx.ModelProto:
    """One that is not there; no tool could run it."""
    return through("Gather", TOKENS, (1, 4), (np.array(at), None, np.int64), axis=1)


CROPS = "and FINN crops height and width only, by an axis that is given and not negative"
NEIGHBOURS = "conversion: takes elements that are no neighbours in ascending order, and FINN crops"
SCALAR = np.array(1)
GATHER = {
    "rows of a table": (looked_up(), ""),
    "rows of a table, no axis": (table_without_axis(), ""),
    "rows of a table by BINARY": (looked_up(kind="BINARY"), ""),
    "columns of a table": (looked_up(axis=1), "conversion: looks up along axis 1, and FINN rows (axis 0)"),
    "signed indices": (looked_up(kind="INT4"), "conversion: has indices of the type INT4, and FINN wants an unsigned integer"),
    "TERNARY indices": (looked_up(kind="TERNARY"), "conversion: has indices of the type TERNARY, and"),
    "a table of one dimension": (
        looked_up(table=(16,)),
        "conversion: looks up in a table of the shape [16], and FINN wants two dimensions",
    ),
    "a table of three dimensions": (
        looked_up(table=(16, 5, 2)),
        "conversion: looks up in a table of the shape [16, 5, 2], and",
    ),
    "computed indices": (
        computed("Gather", (1, 4), (1, 2), 2, axis=1),
        "conversion: has indices that are not constant, and data that is not",
    ),
    "height": (taken(IMAGE, 1, [1, 2]), ""),
    "width": (taken(IMAGE, 2, [1, 2]), ""),
    "from 0": (taken(IMAGE, 2, [0, 1, 2]), ""),
    "one column": (taken(IMAGE, 2, [3]), ""),
    "all": (taken(IMAGE, 2, [0, 1, 2, 3]), ""),
    "width of three dimensions": (taken((1, 4, 4), 1, [1, 2]), ""),
    "height of three dimensions": (taken((4, 4, 2), 0, [1, 2]), ""),
    "width of two dimensions": (taken((4, 2), 0, [1, 2]), ""),
    "channels": (taken((1, 8), 1, [1, 2]), f"conversion: takes elements along axis 1, {CROPS}"),
    "channels of an image": (taken(IMAGE, 3, [0, 1]), f"conversion: takes elements along axis 3, {CROPS}"),
    "samples of an image": (taken((4, 4, 4, 2), 0, [0, 1]), f"conversion: takes elements along axis 0, {CROPS}"),
    "no axis": (taken((4, 2), None, [0, 1]), f"conversion: takes elements along axis 0, {CROPS}"),
    "an axis from behind": (taken(IMAGE, -2, [1, 2]), f"conversion: takes elements along axis -2, {CROPS}"),
    "indices of 32 bits": (
        taken(IMAGE, 2, [1, 2], np.int32),
        "conversion: has indices of the type int32, and FINN wants int64",
    ),
    "indices apart": (taken(IMAGE, 2, [0, 2]), NEIGHBOURS),
    "indices that fall": (taken(IMAGE, 2, [2, 1]), NEIGHBOURS),
    "an index twice": (taken(IMAGE, 2, [1, 1]), NEIGHBOURS),
    "indices from behind": (taken(IMAGE, 2, [-2, -1]), NEIGHBOURS),
    "indices around 0": (taken(IMAGE, 2, [-1, 0]), NEIGHBOURS),
    "one index from behind": (taken(IMAGE, 2, [-1]), NEIGHBOURS),
    "a table of indices": (taken(IMAGE, 2, [[1, 2]], end=False), NEIGHBOURS),
    "no indices": (taken(IMAGE, 2, np.zeros(0, np.int64), end=False), f"{NEIGHBOURS} + static-shapes: is a port whose shape"),
    "a row": (taken(IMAGE, 1, SCALAR), NEIGHBOURS),
    "a token": (taken(TOKENS, 1, SCALAR), ""),
    "a token, axis from behind": (taken(TOKENS, -2, SCALAR), ""),
    "a token, 32 bits": (taken(TOKENS, 1, SCALAR, np.int32), ""),
    "the first token": (taken(TOKENS, 1, np.array(0)), ""),
    "the last token": (taken(TOKENS, 1, np.array(2)), ""),
    "the last token from behind": (taken(TOKENS, 1, np.array(-1)), ""),
    "the first token from behind": (taken(TOKENS, 1, np.array(-3)), ""),
    "a token behind the last": (token(3), NEIGHBOURS),
    "a token before the first": (token(-4), NEIGHBOURS),
    "a channel of tokens": (taken(TOKENS, 2, SCALAR), f"conversion: takes elements along axis 2, {CROPS}"),
    "a channel of tokens, axis from behind": (taken(TOKENS, -1, SCALAR), f"conversion: takes elements along axis -1, {CROPS}"),
    "a sample of tokens": (taken(TOKENS, 0, np.array(0)), NEIGHBOURS),
    "a sample of tokens, no axis": (taken(TOKENS, None, np.array(0)), f"conversion: takes elements along axis 0, {CROPS}"),
    "a token of two samples": (taken((2, 3, 4), 1, SCALAR), NEIGHBOURS),
    "a token in a list": (taken(TOKENS, 1, [1]), ""),
}

TABLES = {"Concat": CONCAT, "Split": SPLIT, "Pad": PAD, "Gather": GATHER}
