"""Folding and hardware operators: what FINN's PE and SIMD must divide, and how the streams between its nodes may meet.

Nodes are FINN's (domain ``finn.custom_op.fpgadataflow...``, as in the finn.onnx that ``ssmq finn`` leaves) and our
DiagonalScan.
"""

from __future__ import annotations

from collections.abc import Iterator

from onnx import NodeProto

from ...dataflow.attributes import integer_attribute, integers_attribute, text_attribute
from ...dataflow.datatype import bits
from ...dataflow.forks import Way, meets_later
from ...dataflow.hardware import SCAN_LOOP
from ...dataflow.keys import PE_KEY, SCAN_DOMAIN, SIMD_KEY
from ..catalogue import Hit, rule
from ..tidy_view import TidyView
from .streams import WIDEST

FINN = "finn.custom_op.fpgadataflow"
# Attribute that counts what PE (or SIMD) takes its share of, by operator without its back end; of any other its channels.
SIZES = {
    "MVAU": {"PE": "MH", "SIMD": "MW"},
    "VVAU": {"PE": "Channels"},  # its SIMD divides the kernel
    "ConvolutionInputGenerator": {"SIMD": "IFMChannels"},
    "LabelSelect": {"PE": "Labels"},
}
CHANNELS = ("NumChannels", "Channels")
SHOWN_FORKS = 64


def is_hardware(node: NodeProto) -> bool:
    """Whether FINN has converted this node already."""
    return node.domain.startswith(FINN)


def _is_scan(node: NodeProto) -> bool:
    return node.op_type.startswith("DiagonalScan") and (node.domain == SCAN_DOMAIN or is_hardware(node))


def _scan_size(view: TidyView, node: NodeProto) -> tuple[int, int] | None:
    """Heads and modes of a DiagonalScan."""
    shape = view.tidied.shape(node.input[1]) if len(node.input) > 1 else None
    if shape is None or len(shape) != 2:
        return None
    heads, modes = shape
    return heads, modes


def _channels(node: NodeProto) -> int | None:
    shape = integers_attribute(node, "out_shape")
    if shape:
        return shape[-1]
    return next((found for found in (integer_attribute(node, key) for key in CHANNELS) if found is not None), None)


def _sizes(node: NodeProto) -> Iterator[tuple[str, int, int]]:
    """(attribute, its value, what it must divide) of a folded node."""
    counted = SIZES.get(node.op_type.partition("_")[0])
    for name in ("PE", "SIMD"):
        size = _channels(node) if counted is None else integer_attribute(node, counted.get(name, ""))
        lanes = integer_attribute(node, name)
        if lanes is not None and size is not None:
            yield name, lanes, size


def _kept(view: TidyView, node: NodeProto) -> Iterator[tuple[str, int, int]]:
    """As ``_sizes``, of the folding that a node of a dataflow graph keeps: PE of its channels, SIMD of its inputs."""
    tensors = {PE_KEY: node.output, SIMD_KEY: node.input}
    for entry in node.metadata_props:
        shape = view.tidied.shape(tensors[entry.key][0]) if tensors.get(entry.key) else None
        if shape:
            lanes = int(entry.value) if entry.value.isascii() and entry.value.isdecimal() and len(entry.value) < 10 else 0
            yield entry.key, lanes, shape[-1]


@rule("folding", "error", "choose a divisor (ssmq finn and ssmq estimate do)")
def folding(view: TidyView) -> Iterator[Hit]:
    """A folded node repeats the same lanes over its channels; a remainder has no hardware, and FINN stops at an assertion."""
    for node in view.nodes:
        if _is_scan(node):
            size, lanes = _scan_size(view, node), integer_attribute(node, "PE")
            if size is None or lanes is None:
                continue
            heads, modes = size
            if lanes < 1 or (modes % lanes and (lanes % modes or heads % (lanes // modes))):
                yield view.label(node), "", f"PE {lanes} divides neither {modes} modes nor makes whole heads of {heads}"
            continue
        for name, parallel, divided in _sizes(node) if is_hardware(node) else _kept(view, node):
            if parallel < 1 or divided % parallel:
                yield view.label(node), "", f"{name} {parallel} does not divide {divided}"


@rule("folded-width", "error", "fold less: fewer PE or SIMD make the stream narrower")
def folded_width(view: TidyView) -> Iterator[Hit]:
    """A stream carries PE (or SIMD) elements a cycle, and HLS knows no integer wider than 8191 bits."""
    for node in view.nodes:
        if not is_hardware(node):
            continue
        sizes = {name: lanes for name, lanes, _ in _sizes(node)}
        lanes, inner = sizes.get("PE", sizes.get("SIMD", 1)), sizes.get("SIMD", sizes.get("PE", 1))
        streams = [("inputDataType", inner), ("outputDataType", lanes)]
        if "SIMD" in sizes:
            streams.append(("weightDataType", lanes * inner))
        for name, count in streams:
            width = bits(text_attribute(node, name, ""))
            if width is not None and count * width > WIDEST:
                kind = name.removesuffix("DataType")
                yield view.label(node), "", f"its {kind} stream has {count} elements of {width} bits, more than {WIDEST}"


@rule("recurrence-rate", "warning", "choose PE so that heads x modes / PE is at least the latency of the loop")
def recurrence_rate(view: TidyView) -> Iterator[Hit]:
    """Step t + 1 of a mode waits for x(t): a sweep shorter than the loop through a state stalls, and its lanes idle."""
    for node in view.nodes:
        size, lanes = _scan_size(view, node), integer_attribute(node, "PE")
        if not _is_scan(node) or size is None or not lanes:
            continue
        modes = size[0] * size[1]
        if 0 < modes // lanes < SCAN_LOOP < modes:
            yield view.label(node), "", f"sweeps its modes in {modes // lanes} cycles, and a state is back after {SCAN_LOOP}"


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
    ways = [Way(tuple(node.input), tuple(node.output), _sums(node)) for node in view.nodes]
    for tensor in forks[:SHOWN_FORKS]:
        join, shape = meets_later(tensor, ways), view.tidied.shape(tensor)
        if join is not None and shape:
            yield view.label(view.nodes[join]), tensor, f"waits here for a sum over channels: a FIFO of {shape[-1]} elements"


def _sums(node: NodeProto) -> bool:
    """Whether no output is there before all channels are."""
    return node.op_type.partition("_")[0] in ("MatMul", "MVAU", "DiagonalScan")
