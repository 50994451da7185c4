"""Folding and hardware operators: what FINN's PE and SIMD must divide, and how the streams between its nodes may meet.

Nodes are FINN's (domain ``finn.custom_op.fpgadataflow...``, as in the finn.onnx that ``ssmq finn`` leaves) and our
DiagonalScan.
"""

from __future__ import annotations

from collections.abc import Iterator

from onnx import NodeProto

from ...dataflow.attributes import attribute
from ...dataflow.datatype import integer_range
from ...dataflow.keys import SCAN_DOMAIN
from ..catalogue import Hit, rule
from ..tidy_view import TidyView
from .streams import WIDEST

FINN = "finn.custom_op.fpgadataflow"
# Attribute that counts what PE (or SIMD) takes its share of, by operator without its back end.
SIZES = {"MVAU": {"PE": "MH", "SIMD": "MW"}}
CHANNELS = ("NumChannels", "Channels")
# Cycles until a state of a DiagonalScan is back: product 3, two sums, rounding 2, write and read 2.
STATE_LOOP = 9
SHOWN_FORKS = 64


def is_hardware(node: NodeProto) -> bool:
    """Whether FINN has converted this node already."""
    return node.domain.startswith(FINN)


def _is_scan(node: NodeProto) -> bool:
    return node.op_type.startswith("DiagonalScan") and (node.domain == SCAN_DOMAIN or is_hardware(node))


def _number(node: NodeProto, name: str) -> int | None:
    value = attribute(node, name)
    return value if isinstance(value, int) else None


def _scan_size(view: TidyView, node: NodeProto) -> tuple[int, int] | None:
    """Heads and modes of a DiagonalScan."""
    shape = view.shape(node.input[1]) if len(node.input) > 1 else None
    return tuple(shape) if shape is not None and len(shape) == 2 else None


def _sizes(view: TidyView, node: NodeProto) -> Iterator[tuple[str, int, int]]:
    """(attribute, its value, what it must divide) of a folded node."""
    kind = node.op_type.partition("_")[0]
    for name in ("PE", "SIMD"):
        lanes = _number(node, name)
        size = _number(node, SIZES[kind][name]) if kind in SIZES and name in SIZES[kind] else None
        if kind not in SIZES and name == "PE":
            size = next((found for found in (_number(node, key) for key in CHANNELS) if found is not None), None)
            shape = attribute(node, "out_shape")
            if size is None and isinstance(shape, list) and shape and isinstance(shape[-1], int):
                size = shape[-1]
        if lanes is not None and size is not None:
            yield name, lanes, size


@rule("folding", "error", "choose a divisor (ssmq finn and ssmq estimate do)")
def folding(view: TidyView) -> Iterator[Hit]:
    """A folded node repeats the same lanes over its channels; a remainder has no hardware, and FINN stops at an assertion."""
    for node in view.nodes:
        if _is_scan(node):
            size, lanes = _scan_size(view, node), _number(node, "PE")
            if size is None or lanes is None:
                continue
            heads, modes = size
            if lanes < 1 or (modes % lanes and (lanes % modes or heads % (lanes // modes))):
                yield view.label(node), "", f"PE {lanes} divides neither {modes} modes nor makes whole heads of {heads}"
        elif is_hardware(node):
            for name, lanes, size in _sizes(view, node):
                if lanes < 1 or size % lanes:
                    yield view.label(node), "", f"{name} {lanes} does not divide {size}"


@rule("folded-width", "error", "fold less: fewer PE or SIMD make the stream narrower")
def folded_width(view: TidyView) -> Iterator[Hit]:
    """A stream carries PE (or SIMD) elements a cycle, and HLS knows no integer wider than 8191 bits."""
    for node in view.nodes:
        if not is_hardware(node):
            continue
        sizes = {name: lanes for name, lanes, _ in _sizes(view, node)}
        lanes, inner = sizes.get("PE", 1), sizes.get("SIMD", sizes.get("PE", 1))
        streams = [("inputDataType", inner), ("outputDataType", lanes)]
        if "SIMD" in sizes:
            streams.append(("weightDataType", lanes * inner))
        for name, count in streams:
            limits = integer_range(str(attribute(node, name, "")))
            if limits is None:
                continue
            bits = (limits[1] - limits[0]).bit_length()
            if count * bits > WIDEST:
                kind = name.removesuffix("DataType")
                yield view.label(node), "", f"its {kind} stream has {count} elements of {bits} bits, more than {WIDEST}"


@rule("recurrence-rate", "warning", "choose PE so that heads x modes / PE is at least the latency of the loop")
def recurrence_rate(view: TidyView) -> Iterator[Hit]:
    """Step t + 1 of a mode waits for x(t): a sweep shorter than the loop through a state stalls, and its lanes idle."""
    for node in view.nodes:
        size, lanes = (_scan_size(view, node), _number(node, "PE")) if _is_scan(node) else (None, None)
        if size is None or not lanes or lanes < 1:
            continue
        sweep = size[0] * size[1] // lanes
        if sweep < STATE_LOOP < size[0] * size[1]:
            yield view.label(node), "", f"sweeps its modes in {sweep} cycles, and a state is back after {STATE_LOOP}"


@rule("fork", "error", "insert DuplicateStreams (FINN: InferDuplicateStreamsLayer)")
def fork(view: TidyView) -> Iterator[Hit]:
    """A stream is consumed by reading: two hardware nodes on one stream starve each other, so FINN duplicates it."""
    for tensor, readers in view.consumers.items():
        hardware = [node for node in readers if is_hardware(node)]
        if len(readers) > 1 and hardware and not view.is_constant(tensor):
            yield view.label(hardware[0]), tensor, f"is read by {len(readers)} nodes and not duplicated"


@rule("single-partition", "error", "replace the operator, or move it before the first or behind the last hardware node")
def single_partition(view: TidyView) -> Iterator[Hit]:
    """FINN's partition is one stretch of hardware nodes; a foreign node between them would lie on the host."""
    if not any(is_hardware(node) for node in view.nodes):
        return
    behind: set[str] = set()
    between: dict[str, NodeProto] = {}  # tensor -> the foreign node that hardware is behind of
    for node in view.nodes:
        foreign = [between[name] for name in node.input if name in between]
        if is_hardware(node):
            for found in foreign[:1]:
                label = view.label(found)
                yield label, "", f"{found.op_type} stands between hardware nodes, before {view.label(node)}"
            behind.update(node.output)
        elif foreign or behind & set(node.input):
            between.update(dict.fromkeys(node.output, foreign[0] if foreign else node))


@rule("residual-buffer", "info", "leave room for it: FINN sizes FIFOs in step_set_fifo_depths, ssmq estimate counts them")
def residual_buffer(view: TidyView) -> Iterator[Hit]:
    """Where a stream forks and meets itself again behind a sum over all channels, the short way must hold them meanwhile.

    With a FIFO shallower than that the accelerator locks up.
    """
    if not view.lowered:
        return
    forks = [name for name, readers in view.consumers.items() if len(readers) > 1 and not view.is_constant(name)]
    for tensor in forks[:SHOWN_FORKS]:
        join, shape = _meets_later(view, tensor), view.shape(tensor)
        if join is not None and shape:
            yield view.label(join), tensor, f"waits here for a sum over channels: a FIFO of {shape[-1]} elements"


def _sums(node: NodeProto) -> bool:
    """Whether no output is there before all channels are."""
    return node.op_type.partition("_")[0] in ("MatMul", "MVAU", "DiagonalScan")


def _meets_later(view: TidyView, tensor: str) -> NodeProto | None:
    """The first node that joins two ways from ``tensor`` that part there, of which one passes more sums."""
    ways: dict[str, tuple[int, int]] = {}  # tensor -> (which reader the way began with, sums on it)
    for node in view.nodes:
        if tensor in node.input:
            ways.update(dict.fromkeys(node.output, (id(node), int(_sums(node)))))
            continue
        found = [ways[name] for name in node.input if name in ways]
        if len(found) == 2 and found[0][0] != found[1][0] and found[0][1] != found[1][1]:
            return node
        if found:
            ways.update(dict.fromkeys(node.output, (found[0][0], max(sums for _, sums in found) + _sums(node))))
    return None
