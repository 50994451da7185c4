"""From the operations of a sequence graph to the cells of a chain of stream modules.

1. Every operation becomes its cells, with the lanes of its folding.
2. A tensor with several readers is forked; a stream is widened or narrowed for readers with other lanes.
3. A power of two before a sum is a shift in the sum.
4. What was counted, or summed and not counted, and what leaves the design is registered, so that no path of ready gets
   long; codes are narrow there.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from math import lcm

import numpy as np

from ..dataflow.folding import Folding
from ..dataflow.graph import DataflowGraph
from ..dataflow.operation import COUNTS, FACTORS, MATRICES, Operation
from ..dataflow.ranges import Range
from ..errors import ExportError
from . import library
from .affine import line_of
from .layers import matrix_to_blocks
from .multipliers import in_luts
from .names import Names
from .netlist import Cell, Stream, stream_of

# Words of the largest table; levels of the deepest search, each of which is a memory of its own.
TABULATED, SEARCHED = 1 << 11, 16


@dataclass(frozen=True, eq=False)
class Design:
    """``cells`` in an order in which every stream is made before it is read, but for what comes back in a loop; ``tensors`` by
    the names of their streams, ``layered`` those of streams with several layers; ``parts``: the cells of an operation by its
    name."""

    cells: list[Cell]
    given: Stream
    result: Stream
    tensors: dict[str, str] = field(default_factory=dict)
    layered: dict[str, list[str]] = field(default_factory=dict)
    parts: dict[str, list[Cell]] = field(default_factory=dict)


def build(graph: DataflowGraph, foldings: list[Folding], names: Names) -> Design:
    """The cells of a sequence graph; ``names`` are shared by designs that lie beside each other.

    Raises ExportError for what has no module, naming its tensor.
    """
    port = graph.ports.output
    builder = Builder(graph.operations, (port.name,), names)
    given = builder.enter_port(graph)
    parts = {}
    for operation, folding in zip(graph.operations, foldings, strict=True):
        known = len(builder.cells)
        builder.visit(operation, folding)
        parts[operation.name] = builder.cells[known:]
    return Design(builder.cells, given, builder.leave(port.name, bool(port.each_step)), builder.tensors, parts=parts)


class Builder:
    """Cells and streams so far; the tensors ``outside`` leave."""

    def __init__(self, operations: list[Operation], outside: tuple[str, ...], names: Names):
        self.names = names
        self.cells: list[Cell] = []
        self.readers = Counter(name for operation in operations for name in operation.inputs)
        self.readers.update(outside)
        self.consumers = {name: operation for operation in operations for name in operation.inputs}
        # Of a tensor, the streams that its readers have not taken yet.
        self.waiting: dict[str, list[Stream]] = {}
        self.tensors: dict[str, str] = {}
        self.use_dsp = True
        # Of a shifted tensor that a sum shifts: by how much; of one that its requantiser scales: by what.
        self.shifts: dict[str, int] = {}
        self.scales: dict[str, np.ndarray] = {}

    def enter_port(self, graph: DataflowGraph) -> Stream:
        """The stream of the graph's input."""
        name = graph.ports.input.name
        low, high = (np.full(graph.channels[name], end, np.int64) for end in graph.limits[name])
        return self.enter(name, (low, high))

    def enter(self, name: str, limits: Range, lanes: int = 1) -> Stream:
        """The stream that comes from outside."""
        stream = stream_of(self.names.new(name), limits, lanes)
        self.offer(name, stream)
        return stream

    def leave(self, name: str, each_step: bool) -> Stream:
        """The stream that goes outside, a channel a beat, registered."""
        stream = self.take(name, 1)
        if not each_step and not stream.once:
            stream = self._put(library.last_step, stream, self._like(stream, "last"))
        return self._put(library.register, stream, self._like(stream, "registered"))

    def take(self, tensor: str, lanes: int) -> Stream:
        """A stream of ``tensor`` for one of its readers."""
        return self._in_lanes(self.waiting[tensor].pop(0), lanes)

    def _in_lanes(self, stream: Stream, lanes: int) -> Stream:
        if stream.lanes == lanes:
            return stream
        # By way of a beat that both divide, so that neither side waits for the other.
        for change, wanted in ((library.widen, lcm(stream.lanes, lanes)), (library.narrow, lanes)):
            if stream.lanes != wanted:
                stream = self._put(change, stream, self._like(stream, f"by_{wanted}", lanes=wanted))
        return stream

    def visit(self, operation: Operation, folding: Folding) -> None:
        """Add the cells of ``operation``, whose multipliers are those of the device or LUTs."""
        self.use_dsp = folding.use_dsp
        kind, lanes = operation.kind, folding.lanes
        if self._scaled(operation):
            pass
        elif kind in MATRICES:
            # A spread has one product an output, whatever its inputs.
            self._matrix(operation, *(*lanes, 1)[:2])
        elif kind == "scan":
            heads, modes = lanes
            given = self.take(operation.inputs[0], heads)
            output = self._output(operation, heads, given)
            self._put(library.scan, given, output, modes, operation.parameters, operation.scan_shape.state_bits)
            self.offer(operation.output, output)
        elif kind in ("product", "sum"):
            self._join(operation, lanes[0])
        elif kind == "running sum":
            given = self.take(operation.inputs[0], lanes[0])
            output = stream_of(self.names.new(operation.output), operation.limits, lanes[0], True)
            self.offer(operation.output, self._put(library.running_sum, given, output))
        elif kind in COUNTS:
            self._count(operation, lanes[0])
        elif not self._shifted(operation):
            self._linear(operation, lanes[0])

    def _linear(self, operation: Operation, lanes: int) -> None:
        given = self.take(operation.inputs[0], lanes)
        constant = np.broadcast_to(operation.fixed, (operation.channels,))
        factor, term = constant, np.zeros_like(constant)
        if operation.kind == "offset":
            factor, term = np.full_like(constant, operation.sign), constant
        output = self._output(operation, lanes, given)
        self.offer(operation.output, self._put(library.affine, given, output, factor, term))

    def _shifted(self, operation: Operation) -> bool:
        """Whether the one sum that reads it does the shift."""
        factor = int(operation.fixed[0])
        consumer = self.consumers.get(operation.output)
        alone = self.readers[operation.output] == 1 and consumer is not None and consumer.kind == "sum"
        if operation.kind != "shift" or not alone or np.any(operation.fixed != factor) or factor < 1:
            return False
        (source,) = operation.inputs
        self.shifts[operation.output] = factor.bit_length() - 1
        self.waiting[operation.output] = [self.waiting[source].pop(0)]
        return True

    def _scaled(self, operation: Operation) -> bool:
        """Whether the one requantiser that reads it does the products with constants too."""
        consumer = self.consumers.get(operation.output)
        alone = self.readers[operation.output] == 1 and consumer is not None and consumer.kind in COUNTS
        spread = operation.kind in MATRICES and len(operation.fixed) == 1
        if not alone or not (spread or operation.kind in FACTORS) or line_of(consumer) is None:
            return False
        (source,) = operation.inputs
        self.scales[operation.output] = operation.fixed.reshape(-1)
        self.waiting[operation.output] = [self.waiting[source].pop(0)]
        return True

    def _unscaled(self, operation: Operation, lanes: int) -> Stream:
        """What a requantiser is given, before it is scaled."""
        (name,) = operation.inputs
        alike = self.waiting[name][0].channels == operation.channels
        return self.take(name, lanes) if alike else self._repeated(name, operation.channels, lanes)

    def _join(self, operation: Operation, lanes: int) -> None:
        channels = operation.channels
        streams = []
        for name in operation.inputs:
            if self.waiting[name][0].channels != channels:
                streams.append(self._repeated(name, channels, lanes))
            else:
                streams.append(self.take(name, lanes))
        left, right = streams
        if left.once != right.once:
            raise ExportError(f"{operation.output}: it joins a tensor of every step and one of the last step, which has no RTL")
        output = self._output(operation, lanes, left)
        if operation.kind == "product":
            cell = self._styled(library.product(left, right, output))
        else:
            first, second = (self.shifts.get(name, 0) for name in operation.inputs)
            cell = library.add(left, right, output, (first, second), operation.sign)
        self.cells.append(cell)
        self.offer(operation.output, output)

    def _repeated(self, tensor: str, channels: int, lanes: int) -> Stream:
        """The one channel of a tensor as ``channels`` equal ones."""
        stream = self.take(tensor, 1)
        return self._put(library.repeat, stream, self._like(stream, "repeated", channels=channels, lanes=lanes))

    def _matrix(self, operation: Operation, pe: int, simd: int) -> None:
        given = self.take(operation.inputs[0], simd)
        weight = matrix_to_blocks(operation.fixed, given.slots)
        passes = weight.shape[2] // pe
        if passes > 1:
            given = self._put(library.replay, given, self._like(given, "replayed"), passes)
        output = self._output(operation, pe, given)
        consumer = self.consumers.get(operation.output)
        # What is counted is registered behind that.
        registered = given.paced or consumer is None or consumer.kind in COUNTS or given.beats < 2
        sums = self._put(library.matvec, given, output if registered else self._like(output, "sums"), weight)
        self.offer(operation.output, sums if registered else self._put(library.half_register, sums, output))

    def _count(self, operation: Operation, lanes: int) -> None:
        line, given = line_of(operation), self._unscaled(operation, lanes)
        output = self._output(operation, lanes, given)
        # What is paced never waits, and is registered by the rounder.
        inner = output if given.paced else output.named(self.names.new(f"{output.name}_rounded"))
        thresholds = _distinct(operation)
        if line is not None:
            scale = self.scales.get(operation.inputs[0], 1)
            self._put(library.affine, given, inner, line.factor * scale, line.term, line)
        elif len(thresholds) << given.bits <= TABULATED:
            patterns = np.arange(1 << given.bits)
            codes = np.where(patterns >> (given.bits - 1) & given.signed, patterns - (1 << given.bits), patterns)
            reached = [np.searchsorted(row, codes, side="right") for row in thresholds]
            self._put(library.table, given, inner, operation.bias + np.stack(reached))
        else:
            self._search(operation, thresholds, given, inner)
        self.offer(operation.output, output if given.paced else self._put(library.register, inner, output))

    def _search(self, operation: Operation, thresholds: np.ndarray, code: Stream, output: Stream) -> None:
        """Thresholds past the last are larger than every code."""
        levels = thresholds.shape[1].bit_length()
        if levels > SEARCHED:
            raise ExportError(f"{operation.output}: a search of {thresholds.shape[1]:,} thresholds has no RTL")
        never = int(operation.sources[0][1].max()) + 1
        padding = np.full((len(thresholds), (1 << levels) - 1 - thresholds.shape[1]), never)
        every = np.concatenate([thresholds, padding], axis=1)
        stream = code
        for known in range(levels):
            bits = known + 1 + (code.bits if known + 1 < levels else 0)
            found = self._like(code, f"level_{known + 1}", bits=bits, signed=False)
            step = 1 << (levels - known)
            stream = self._put(library.search, stream, found, code, known, every[:, step // 2 - 1 :: step])
        ones = np.ones(operation.channels, np.int64)
        self._put(library.affine, stream, output, ones, ones * operation.bias)

    def in_format(self, stream: Stream, wanted: Stream) -> Stream:
        """``stream`` in the bits of ``wanted``, which hold its codes."""
        if (stream.bits, stream.signed) == (wanted.bits, wanted.signed):
            return stream
        output = self._like(stream, "extended", bits=wanted.bits, signed=wanted.signed)
        one, none = np.ones(stream.channels, np.int64), np.zeros(stream.channels, np.int64)
        return self._put(library.affine, stream, output, one, none)

    def split(self, tensor: str, lanes: int, parts: list[str]) -> None:
        """Give every one of ``parts`` its elements of a tensor that has one of each in turn."""
        count = len(parts)
        stream = self.take(tensor, lcm(lanes, count))
        copies = [self._like(stream, f"part_{k}") for k in range(count)]
        self.cells.append(library.fork(stream, copies))
        for k, (part, copy) in enumerate(zip(parts, copies, strict=True)):
            channels, each = stream.channels // count, stream.lanes // count
            output = replace(copy, name=self.names.new(part), channels=channels, lanes=each)
            self.offer(part, self._put(library.lanes, copy, output, count, k))

    def _output(self, operation: Operation, lanes: int, given: Stream) -> Stream:
        made = stream_of(self.names.new(operation.output), operation.limits, lanes, given.once)
        return replace(made, slots=given.slots, paced=given.paced)

    def _like(self, stream: Stream, suffix: str, **changes) -> Stream:
        fields = {**stream.__dict__, **changes}
        return Stream(**{**fields, "name": self.names.new(f"{stream.name}_{suffix}")})

    def _put(self, make, given: Stream, output: Stream, *more) -> Stream:
        self.cells.append(self._styled(make(given, output, *more)))
        return output

    def _styled(self, cell: Cell) -> Cell:
        return cell if self.use_dsp else in_luts(cell)

    def offer(self, tensor: str, stream: Stream) -> None:
        """Give every reader of ``tensor`` a stream of its own."""
        self.tensors[stream.name] = tensor
        count = self.readers[tensor]
        streams = [stream]
        if count > 1:
            streams = [stream.named(self.names.new(f"{stream.name}_{k}")) for k in range(count)]
            self.cells.append(library.fork(stream, streams))
        self.waiting[tensor] = streams


def _distinct(operation: Operation) -> np.ndarray:
    """Thresholds ``(1 or channels, n)`` within reach of the input, one row where all channels have the same."""
    ((low, high),) = operation.sources
    rows = np.clip(operation.fixed, int(low.min()), int(high.max()) + 1)
    return rows[:1] if np.all(rows == rows[0]) else rows
