"""Nodes: operands and attributes by operator, one producer a tensor, one order of computation."""

from __future__ import annotations

import heapq
import re
from collections import Counter
from collections.abc import Callable, Iterable

import onnx
from onnx import AttributeProto, TensorProto, helper

from ..dataflow.datatype import integer_range
from ..dataflow.keys import PE_KEY, RES_TYPE_KEY, SIMD_KEY, TABLE_MARK
from ..dataflow.scan_operands import INPUTS, unfit_state
from ..errors import ExportError
from .names import NAME, OPERATORS, operator_domain, refuse_names, shown

MOST_NODES = 20_000
_OPERANDS = {
    "Quant": 4,
    "Clip": 3,
    "DiagonalScan": len(INPUTS),
    **dict.fromkeys(("Cast", "Neg", "Relu", "Sigmoid", "Tanh", "Erf"), 1),
}
_INT, _FLOAT, _TEXT = AttributeProto.INT, AttributeProto.FLOAT, AttributeProto.STRING
_KINDS: dict[int, str] = {_INT: "i", _FLOAT: "f", _TEXT: "s"}
_Allowed = tuple[int, Callable[..., bool], int | float | bytes | None]
# operator -> attribute -> (kind, what it may be, what is taken where it is missing; None: it must be there)
_ATTRIBUTES: dict[str, dict[str, _Allowed]] = {
    "Quant": {
        "signed": (_INT, lambda v: v in (0, 1), None),
        "narrow": (_INT, lambda v: v == 0, 0),
        "rounding_mode": (_TEXT, lambda v: v == b"ROUND", b"ROUND"),
    },
    "Cast": {
        "to": (_INT, lambda v: v in (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.INT64), None),
        "saturate": (_INT, lambda v: v == 1, None),
    },
    "Gather": {"axis": (_INT, lambda v: v == 0, 0)},
    "MultiThreshold": {
        "out_dtype": (_TEXT, lambda v: integer_range(v.decode(errors="replace")) is not None, None),
        "out_scale": (_FLOAT, lambda v: v == 1, 1.0),
        "out_bias": (_FLOAT, lambda v: abs(v) < 2**24 and v == int(v), 0.0),
        "data_layout": (_TEXT, lambda v: v in (b"NC", b"NHWC"), None),
    },
    "ReduceSum": {"keepdims": (_INT, lambda v: v == 1, 1), "noop_with_empty_axes": (_INT, lambda v: v == 0, 0)},
    "DiagonalScan": {
        "state_bits": (_INT, lambda v: unfit_state(v) is None, None),
        "PE": (_INT, lambda v: 1 <= v <= 1 << 16, 1),
    },
}
_NUMBER = re.compile(r"[1-9][0-9]{0,6}")
_PROPERTIES = {TABLE_MARK: NAME, PE_KEY: _NUMBER, SIMD_KEY: _NUMBER, RES_TYPE_KEY: re.compile("auto|lut")}
_NEEDED = {"Quant": ("signed",), "Cast": ("to",), "DiagonalScan": ("state_bits",)}


def checked_nodes(graph: onnx.GraphProto, form: str, known: Iterable[str]) -> list[onnx.NodeProto]:
    """The nodes of ``graph`` in an order of computation, made anew; ``known`` are its ports and constants.

    Every node has one output, and a name of its own. Raises ExportError naming the first that does not fit ``form``.
    """
    given = [node for node in graph.node if node.op_type != "Constant"]
    if len(given) > MOST_NODES:
        raise ExportError(f"{len(given)} nodes are more than the {MOST_NODES} that are read: give a graph of fewer layers")
    refuse_names((node.name for node in given if node.name), "node")
    refuse_names((name for node in given for name in (*node.input, *node.output)), "tensor")
    nodes = [_rebuilt(node, form) for node in given]
    _refuse_twice(nodes, set(known))
    if len({node.name for node in nodes}) < len(nodes) or not all(node.name for node in nodes):
        for node in nodes:
            node.name = f"{node.op_type}_{node.output[0]}"
    return _ordered(nodes, set(known))


def _rebuilt(node: onnx.NodeProto, form: str) -> onnx.NodeProto:
    label = f"node {node.name}" if node.name else f"the node that makes {', '.join(node.output)}"
    if node.op_type not in OPERATORS[form]:
        raise ExportError(
            f"{label}: {shown(node.op_type).strip(chr(39))} is no operator of a {form} graph: give the {form}.onnx that "
            f"`ssmq export` writes"
        )
    wanted = _OPERANDS.get(node.op_type, 2)
    if len(node.input) != wanted or len(node.output) != 1:
        raise ExportError(
            f"{label}: {node.op_type} takes {wanted} operands and gives one result, not {len(node.input)} and "
            f"{len(node.output)}: export the graph again"
        )
    attributes = _attributes(node, label)
    if node.op_type == "MultiThreshold":
        attributes["data_layout"] = "NHWC" if form == "sequence-dataflow" else "NC"
    domain = operator_domain(node)
    made = helper.make_node(node.op_type, list(node.input), list(node.output), name=node.name, domain=domain, **attributes)
    for entry in node.metadata_props:
        pattern = _PROPERTIES.get(entry.key)
        if pattern is None:
            continue
        if not pattern.fullmatch(entry.value):
            raise ExportError(
                f"{label}: its property {entry.key} is {shown(entry.value)}, which no graph of ours holds: "
                "export the graph again"
            )
        made.metadata_props.append(entry)
    return made


def _attributes(node: onnx.NodeProto, label: str) -> dict:
    allowed = _ATTRIBUTES.get(node.op_type, {})
    found = {name: value for name, (_, _, value) in allowed.items() if value is not None}
    for attribute in node.attribute:
        if attribute.name not in allowed:
            raise ExportError(f"{label}: {node.op_type} has no attribute {shown(attribute.name)} here: export the graph again")
        kind, fits, _ = allowed[attribute.name]
        value = getattr(attribute, _KINDS[kind])
        # NaN fits nothing, but int(NaN) raises.
        if attribute.type != kind or attribute.ref_attr_name or value != value or not fits(value):
            raise ExportError(
                f"{label}: the attribute {attribute.name} of {node.op_type} is {shown(str(value))}, which an exported graph "
                f"never holds: export the graph again"
            )
        found[attribute.name] = value
    for name in _NEEDED.get(node.op_type, ()):
        if name not in found:
            raise ExportError(f"{label}: {node.op_type} has lost its attribute {name}: export the graph again")
    return found


def _refuse_twice(nodes: list[onnx.NodeProto], known: set[str]) -> None:
    makers = Counter(node.output[0] for node in nodes)
    for name, count in makers.items():
        if count > 1 or name in known:
            again = "is a port or a constant too" if name in known else f"is made by {count} nodes"
            raise ExportError(f"{name}: {again}, and each tensor has one source: export the graph again")


def _ordered(nodes: list[onnx.NodeProto], known: set[str]) -> list[onnx.NodeProto]:
    """As they stand, each moved back only as far as its operands ask for."""
    made = {node.output[0]: node for node in nodes}
    readers: dict[str, list[int]] = {}
    missing = []
    for place, node in enumerate(nodes):
        waits = {name for name in node.input if name not in known}
        for name in waits:
            if name not in made:
                raise ExportError(f"{node.output[0]}: its operand {name} is computed by no node: export the graph again")
            readers.setdefault(name, []).append(place)
        missing.append(len(waits))
    return _sorted(nodes, readers, missing)


def _sorted(nodes: list[onnx.NodeProto], readers: dict[str, list[int]], missing: list[int]) -> list[onnx.NodeProto]:
    ready = [place for place, count in enumerate(missing) if not count]
    result = []
    while ready:
        node = nodes[heapq.heappop(ready)]
        result.append(node)
        for place in readers.get(node.output[0], ()):
            missing[place] -= 1
            if not missing[place]:
                heapq.heappush(ready, place)
    if len(result) < len(nodes):
        waiting = next(nodes[place] for place, count in enumerate(missing) if count)
        raise ExportError(f"{waiting.output[0]}: is computed from itself: states go through ports, not in a circle")
    return result
