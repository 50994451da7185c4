"""Operators that move elements or choose among them: legal graphs, and each with one thing changed that FINN does not take."""

from __future__ import annotations

import numpy as np
import onnx
from conversion_cases import computed, ints, levels, through
from foreign_graphs import QONNX, Graph
from onnx import TensorProto, helper


def reshaped(*sizes, shape=(1, 2, 2), out=(1, 4)) -> onnx.ModelProto:
    return through("Reshape", shape, out, ints(*sizes))


BEFORE = "conversion: has a 0 (as before) in its shape: write the size"
RESHAPE = {
    "sizes": (reshaped(1, 4), ""),
    "a size left open": (reshaped(1, -1), ""),
    "a size as before": (reshaped(0, 4), BEFORE),
    "the last size as before": (reshaped(2, 0, shape=(1, 2, 1, 2), out=(2, 2)), BEFORE),
    "a computed shape": (
        computed("Reshape", (1, 2, 2), (1, 4), 2),
        "conversion: has a shape that is not constant + static-shapes: has no fully static shape",
    ),
}

BETWEEN = "conversion: is removed only between two hardware operators, with the first dimension kept: write it as Reshape"
BOX = (1, 2, 2, 2)


def flattened(
    op="Flatten", shape=BOX, out=(1, 8), before="MultiThreshold", behind="MultiThreshold", place=0, fork="", readers=1
):
    """u -> before -> Flatten, or Reshape -> behind. ``fork`` names what others read too, or that is an output too."""
    g = Graph()
    x = g.input("u", shape, "INT4")
    if before == "turned":
        x, perm = levels(g, x, [shape[k] for k in (0, 2, 3, 1)]), [0, 3, 1, 2]
        g.ports[0] = helper.make_tensor_value_info("u", TensorProto.FLOAT, [shape[k] for k in (0, 2, 3, 1)])
        x = g.node("Transpose", [x], shape, "UINT2", perm=perm)
    elif before == "MultiThreshold":
        x = levels(g, x, shape)
    elif before == "bits":
        x = levels(g, x, shape, (1,), "BINARY")
    elif before == "Reshape":
        x = g.node(before, [x, g.constant(*ints(*shape))], shape, "INT4")
    elif before == "Transpose":
        x = g.node(before, [levels(g, x, shape)], shape, "UINT2", perm=[0, 2, 1, 3])
    elif before:
        x = g.node(before, [x], shape, "UINT4")
    if op == "Flatten":
        axis = next(k for k in range(len(shape) + 1) if np.prod(shape[:k]) == out[0])
        y = g.node(op, [x], out, "UINT2", axis=axis)
    else:
        y = g.node(op, [x, g.constant(*ints(*out))], out, "UINT2")
    ends = [reading(g, y, out, behind, place) for _ in range(readers)] if behind else [y]
    others = {"read before": x, "read behind": y}
    if fork in others:
        ends.append(levels(g, others[fork], shape if fork == "read before" else out))
    if fork in ("output before", "output behind"):
        ends.append(x if fork == "output before" else y)
    return g.model(ends)


def reading(g: Graph, y: str, out, op: str, place: int) -> str:
    """What reads ``y``, of the shape ``out``, and thresholds behind it."""
    rows, columns = out[0], out[-1]
    if op == "MultiThreshold":
        return levels(g, y, out)
    others = {
        "MatMul": lambda: g.constant(np.arange(columns * 4).reshape(columns, 4) % 5 - 2, "INT4"),
        "MatMul of streams": lambda: g.input("v", (columns, 4), "INT4"),
        "XnorPopcountMatMul": lambda: g.constant(np.arange(columns * 4).reshape(columns, 4) % 2, "BINARY"),
        "Add": lambda: g.input(f"v{len(g.ports)}", out, "INT4"),
        "Sub": lambda: g.input(f"v{len(g.ports)}", out, "INT4"),
        "Mul": lambda: g.constant([[2]], "INT4"),
        "Concat": lambda: g.input(f"v{len(g.ports)}", out, "INT4"),
        "Split": lambda: g.constant(*ints(columns // 2, columns // 2)),
        "Reshape": lambda: g.constant(*ints(1, *out)),
        "Gather": lambda: g.constant(*ints(*range(rows - 1))),
    }
    shapes = {"Concat": (rows, 2 * columns), "Reshape": (1, *out), "Gather": (rows - 1, columns), "Split": (rows, columns // 2)}
    shape = (rows, 4) if "MatMul" in op else out[::-1] if op == "Transpose" else shapes.get(op, out)
    given = {"Concat": {"axis": 1}, "Split": {"axis": 1}, "Gather": {"axis": 0}, "Transpose": {"perm": [1, 0]}}.get(op, {})
    operands = [y, others[op]()] if op in others else [y]
    operands = operands[::-1] if place else operands
    domain = QONNX if op == "XnorPopcountMatMul" else ""
    kind = "UINT4" if domain else "INT8"
    z = g.node(op.split()[0], operands, [shape, shape] if op == "Split" else shape, kind, domain=domain, **given)
    return levels(g, z[0] if op == "Split" else z, shape)


OTHER = "conversion: is removed, and FINN connects the first operand of {} in place of this: keep three dimensions"
FINDS = "conversion: is removed, and {} finds the shape [1, 2, 2, 2]: keep three dimensions"
FLAT = (1, 8)
# Of Flatten and of Reshape alike: what is removed.
REMOVED = {
    "before thresholds": ({}, ""),
    "before a MatMul": ({"behind": "MatMul"}, ""),
    "before a product of bits": ({"before": "bits", "behind": "XnorPopcountMatMul"}, ""),
    "before a sum": ({"behind": "Add"}, FINDS.format("Add")),
    "before a product with one number": ({"behind": "Mul"}, FINDS.format("Mul")),
    "before a Relu": ({"behind": "Relu"}, FINDS.format("Relu")),
    "before a Concat": ({"behind": "Concat"}, FINDS.format("Concat")),
    "before a Split": ({"behind": "Split"}, FINDS.format("Split")),
    "before a Crop": ({"shape": (4, 2, 2, 2), "out": (4, 8), "behind": "Gather"}, FINDS.format("Gather").replace("[1", "[4")),
    "behind a Relu": ({"before": "Relu"}, ""),
    "behind a Relu, before a sum": ({"before": "Relu", "behind": "Add"}, FINDS.format("Add")),
    "the second of a sum": ({"behind": "Add", "place": 1}, OTHER.format("Add")),
    "of one shape, before a sum": ({"shape": FLAT, "behind": "Add"}, ""),
    "of one shape, the second of a difference": ({"shape": FLAT, "behind": "Sub", "place": 1}, OTHER.format("Sub")),
    "before sums": ({"behind": "Add", "readers": 2}, ""),
    "before Reshapes": ({"behind": "Reshape", "readers": 2}, ""),
    "before a sum, an output too": ({"behind": "Add", "fork": "output behind"}, ""),
    "before a sum, read too": ({"behind": "Add", "fork": "read behind"}, ""),
    "behind what is read too": ({"behind": "Add", "fork": "read before"}, FINDS.format("Add")),
    "behind what is an output too": ({"behind": "Add", "fork": "output before"}, FINDS.format("Add")),
    "behind a Reshape that is read too": ({"before": "Reshape", "behind": "Add", "fork": "read before"}, FINDS.format("Add")),
    "behind a Reshape that is an output too": (
        {"before": "Reshape", "behind": "Add", "fork": "output before"},
        FINDS.format("Add"),
    ),
    "behind the turned, before a MatMul": ({"before": "turned", "behind": "MatMul"}, ""),
}
# And what is not: a Reshape becomes one, a Flatten stays.
KEPT = {
    "first": {"before": ""},
    "last": {"behind": ""},
    "the first dimension lost": {"shape": (2, 1, 2, 2), "out": (1, 8)},
    "the first dimension joined": {"shape": (2, 2, 2, 2), "out": (4, 4)},
    "first, before a sum": {"before": "", "behind": "Add"},
    "behind a Reshape": {"before": "Reshape", "behind": "Add"},
    "before a Reshape": {"behind": "Reshape"},
    "behind the turned, before thresholds": {"before": "turned"},
    "behind the turned, before a MatMul of streams": {"before": "turned", "behind": "MatMul of streams"},
    "behind the turned, the first dimension joined": {
        "shape": (1, 2, 2, 2),
        "out": (2, 4),
        "before": "turned",
        "behind": "MatMul",
    },
    "behind what is turned otherwise": {"before": "Transpose", "behind": "MatMul"},
}
FLATTEN = {
    **{name: (flattened(**change), words) for name, (change, words) in REMOVED.items()},
    **{name: (flattened(**change), BETWEEN) for name, change in KEPT.items()},
    "one dimension of two before the rest": (flattened(shape=(1, 1, 2, 2), out=(1, 4)), ""),
}
RESHAPE |= {
    **{name: (flattened("Reshape", **change), words) for name, (change, words) in REMOVED.items()},
    **{name: (flattened("Reshape", **change), "") for name, change in KEPT.items()},
    "three dimensions before a sum": (flattened("Reshape", out=(1, 4, 2), behind="Add"), ""),
}


def turned(shape, perm, *behind, after=True, fork=0, read=False, result=False, end=True, after_end=False) -> onnx.ModelProto:
    """u (-> MultiThreshold) -> Transpose -> each of ``behind`` -> MultiThreshold.

    With ``read`` the first is read by thresholds too, with ``result`` it is an output, ``fork`` counts other readers of u.
    """
    g = Graph()
    u = x = g.input("u", shape, "INT4")
    x = levels(g, x, shape) if after else x
    given = {} if perm is None else {"perm": list(perm)}
    out = [shape[k] for k in perm or reversed(range(len(shape)))]
    y = g.node("Transpose", [x], out, "UINT2", **given)
    ends = [y] if result else []
    for other in behind:
        last = [out[k] for k in other]
        z = g.node("Transpose", [y], last, "UINT2", perm=list(other))
        ends.append(levels(g, z, last) if end else z)
        ends += [z] if after_end else []
    if read or not behind:
        ends.append(levels(g, y, out))
    ends += [levels(g, u, shape) for _ in range(fork)]
    return g.model(ends)


def pooled(perm, op="MaxPool", readers=1, after=False, extra=False) -> onnx.ModelProto:
    """u (channels last) -> Transpose -> MaxPool of channels first -> Transpose -> MultiThreshold."""
    g = Graph()
    shape = (1, 4, 4, 4)
    x = g.input("u", shape, "INT4")
    x = levels(g, x, shape) if after else x
    y = g.node("Transpose", [x], shape, "INT4", perm=perm)
    ends = []
    for _ in range(readers):
        z = g.node(op, [y], (1, 4, 2, 2), "INT4", kernel_shape=[2, 2], strides=[2, 2])
        z = g.node("Transpose", [z], (1, 2, 2, 4), "INT4", perm=[0, 2, 3, 1])
        ends.append(levels(g, z, (1, 2, 2, 4)))
    if extra:
        ends.append(levels(g, y, shape))
    return g.model(ends)


def of_two_ports(turned_port: str, fork="") -> onnx.ModelProto:
    """Ports a and b, one transposed; ``fork`` is read once more."""
    g = Graph()
    for name in "ab":
        g.input(name, SPACE, "INT4")
    ends = [levels(g, g.node("Transpose", [turned_port], (1, 3, 2), "INT4", perm=[0, 2, 1]), (1, 3, 2))]
    return g.model(ends + [levels(g, name, SPACE) for name in ["b" if turned_port == "a" else "a", *fork]])


SPACE = (1, 2, 3)
FIRST = "conversion: is the first operator, which FINN leaves on the host: store the input transposed"
PAIR = "conversion: is undone by the last operator of the graph, and FINN stops at the pair: remove both"
TRANSPOSE = {
    "behind thresholds": (turned(SPACE, (0, 2, 1)), ""),
    "no perm": (turned(SPACE, None), "conversion: has no permutation: write perm"),
    "first": (turned(SPACE, (0, 2, 1), after=False), FIRST),
    "first of a port that others read": (turned(SPACE, (0, 2, 1), after=False, fork=1), ""),
    "undone": (turned(SPACE, (0, 2, 1), (0, 2, 1)), ""),
    "first and undone": (turned(SPACE, (0, 2, 1), (0, 2, 1), after=False), ""),
    "first and undone by a cycle back": (turned(SPACE, (1, 2, 0), (2, 0, 1), after=False), ""),
    "first and turned on by a cycle": (turned(SPACE, (1, 2, 0), (1, 2, 0), after=False), FIRST),
    "first and turned otherwise": (turned(SPACE, (0, 2, 1), (1, 0, 2), after=False), FIRST),
    "first and undone twice": (turned(SPACE, (0, 2, 1), (0, 2, 1), (0, 2, 1), after=False), FIRST),
    "first, undone and an output": (turned(SPACE, (0, 2, 1), (0, 2, 1), after=False, result=True), FIRST),
    "first, of the first of two ports": (of_two_ports("a"), FIRST),
    "first, of the first of two ports, read twice": (of_two_ports("a", "a"), ""),
    "first, of the first of two ports, the second read twice": (of_two_ports("a", "b"), FIRST),
    "first, of the second of two ports": (of_two_ports("b"), FIRST),
    "first, of the second of two ports, the first read twice": (of_two_ports("b", "a"), ""),
    "first, of the second of two ports, read twice": (of_two_ports("b", "b"), FIRST),
    "first, undone once and kept once": (turned(SPACE, (0, 2, 1), (0, 2, 1), (1, 0, 2), after=False), FIRST),
    "first, undone and read": (turned(SPACE, (0, 2, 1), (0, 2, 1), after=False, read=True), FIRST),
    "undone at the end": (turned(SPACE, (0, 2, 1), (0, 2, 1), end=False), PAIR),
    "turned otherwise at the end": (turned(SPACE, (0, 2, 1), (1, 0, 2), end=False), ""),
    "undone at two ends": (turned(SPACE, (0, 2, 1), (0, 2, 1), (0, 2, 1), end=False), ""),
    "undone, an output and read": (turned(SPACE, (0, 2, 1), (0, 2, 1), after_end=True), ""),
    "undone at the end, an output too": (turned(SPACE, (0, 2, 1), (0, 2, 1), end=False, result=True), ""),
    "first, to channels first, into thresholds": (turned((1, 2, 2, 4), (0, 3, 1, 2), after=False), FIRST),
    "first, into a pool of channels first": (pooled([0, 3, 1, 2]), ""),
    "first, into two pools of channels first": (pooled([0, 3, 1, 2], readers=2), FIRST),
    "behind thresholds, into two pools": (pooled([0, 3, 1, 2], readers=2, after=True), ""),
    "first, into a pool, read elsewhere": (pooled([0, 3, 1, 2], extra=True), FIRST),
    "first, into a pool, another way": (pooled([0, 2, 1, 3]), FIRST),
}


def chosen(
    condition="BINARY", kinds=("INT4", "INT4"), result="INT4", constant=None, compared=False, shape=(1, 4)
) -> onnx.ModelProto:
    g = Graph()
    names = [g.input("c", shape, condition, TensorProto.BOOL)]
    if compared:
        names = [
            g.node(
                "Less", [g.input("u0", shape, "INT4"), g.input("u1", shape, "INT4")], shape, "BINARY", element=TensorProto.BOOL
            )
        ]
    names += [g.input(name, shape, kind) for name, kind in zip("ab", kinds, strict=True)]
    if constant is not None:
        names[constant] = g.constant([[1, 0, 1, 0]], ["BINARY", *kinds][constant], bool if constant == 0 else "f4")
    y = g.node("Where", names, shape, result)
    return g.model([levels(g, y, shape)])


STREAMS = "conversion: chooses a constant, and FINN among streams only"
ONE_TYPE = "conversion: chooses between {} and {} for a result of {}, and FINN wants one type"
WHERE = {
    "three streams": (chosen(), ""),
    "three streams of an image": (chosen(shape=BOX), ""),
    "a condition of UINT1": (chosen("UINT1"), ""),
    "a condition of UINT2": (chosen("UINT2"), "conversion: has a condition of the type UINT2, and FINN wants BINARY"),
    "a compared condition": (chosen(compared=True), "conversion: has a condition of the type INT32, and FINN wants BINARY"),
    "a constant condition": (chosen(constant=0), STREAMS),
    "a constant where true": (chosen(constant=1), STREAMS),
    "a constant where false": (chosen(constant=2), STREAMS),
    "two types": (chosen(kinds=("INT4", "INT8")), ONE_TYPE.format("INT4", "INT8", "INT4")),
    "two types, the second annotated": (chosen(kinds=("INT8", "INT4")), ONE_TYPE.format("INT8", "INT4", "INT4")),
    "a result of another type": (chosen(result="INT8"), ONE_TYPE.format("INT4", "INT4", "INT8")),
}

TABLES = {"Reshape": RESHAPE, "Flatten": FLATTEN, "Transpose": TRANSPOSE, "Where": WHERE}
