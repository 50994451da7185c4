"""The layers of one shape in a sequence graph, and what they are as one layer.

A tensor through which every path goes cuts the graph into segments. Layers are a run of segments that comes again and
again: the same operations on the same channels, whatever their numbers. So that a sum is the same one whichever of its
terms is shifted, each has a shift right before it, by nothing if need be. Stacked, each operation has the channels of all
layers, layer after layer; a matrix becomes one with a block a layer.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np

from ..dataflow.graph import DataflowGraph
from ..dataflow.operation import COUNTS, MATRICES, Operation
from ..dataflow.ranges import Range
from ..errors import ExportError
from .netlist import stream_of

REPEATABLE = frozenset((*MATRICES, *COUNTS, "scan", "product", "scale", "shift", "sum", "offset"))


@dataclass(frozen=True, eq=False)
class Layers:
    """Operations ``before``, ``repeated`` by layer, and ``after``; ``cuts`` are the tensors between the layers, one more."""

    before: list[Operation]
    repeated: list[list[Operation]]
    after: list[Operation]
    cuts: list[str]

    @property
    def ends(self) -> list[tuple[Range, Range]]:
        """Of every layer the ranges of what it is given and of what leaves it."""
        given = [_source(group, cut) for group, cut in zip(self.repeated, self.cuts, strict=False)]
        return [(found, group[-1].limits) for found, group in zip(given, self.repeated, strict=True)]


def layers_of(graph: DataflowGraph) -> Layers:
    """The run of layers that saves most operations, of equal ones that with the narrowest tensor between them."""
    segments = _segments(graph, shifted_sums(graph))
    shapes = [_shape(*segment) for segment in segments]
    best: tuple | None = None
    for period in range(1, len(segments) // 2 + 1):
        for start in range(len(segments) - 2 * period + 1):
            if any(shape is None for shape in shapes[start : start + period]):
                continue
            count = 1
            while shapes[start : start + period] == shapes[start + count * period : start + (count + 1) * period]:
                count += 1
            once = [operation for _, found in segments[start : start + period] for operation in found]
            if count < 2 or not any(operation.kind == "scan" for operation in once):
                continue
            value = (count - 1) * len(once), -_width(graph, segments[start][0])
            if best is None or value > best[0]:
                best = value, start, period, count
    if best is None:
        raise ExportError("no layer is there twice, so that none can be shared: use --shape dataflow")
    _, start, period, count = best
    end = start + period * count
    groups = [[operation for _, found in segments[a : a + period] for operation in found] for a in range(start, end, period)]
    before, after = ([operation for _, found in part for operation in found] for part in (segments[:start], segments[end:]))
    return Layers(before, groups, after, [segments[start][0], *(group[-1].output for group in groups)])


def _source(operations: list[Operation], tensor: str) -> Range:
    pairs = (pair for operation in operations for pair in zip(operation.inputs, operation.sources, strict=True))
    return next(source for name, source in pairs if name == tensor)


def _width(graph: DataflowGraph, tensor: str) -> int:
    low, high = (np.full(1, end, np.int64) for end in graph.limits[tensor])
    return stream_of(tensor, (low, high), 1).bits


def shifted_sums(graph: DataflowGraph) -> list[Operation]:
    """The operations, every term of a sum shifted right before it; of what is put in the name is the sum's and a number."""
    readers = Counter(name for operation in graph.operations for name in (*operation.inputs, *graph.outputs))
    sums = {name for one in graph.operations if one.kind == "sum" for name in one.inputs}
    moved = {
        one.output: one for one in graph.operations if one.kind == "shift" and one.output in sums and readers[one.output] == 1
    }
    found: list[Operation] = []
    for operation in graph.operations:
        if operation.kind == "sum":
            inputs = []
            for k, (name, source) in enumerate(zip(operation.inputs, operation.sources, strict=True)):
                found.append(moved.get(name) or _unshifted(operation, f"{operation.output}.{k}", name, source))
                inputs.append(found[-1].output)
            found.append(replace(operation, inputs=tuple(inputs)))
        elif operation.output not in moved:
            found.append(operation)
    return found


def _unshifted(total: Operation, name: str, tensor: str, source: Range) -> Operation:
    """``tensor`` times 1, a term of ``total``."""
    one, dims = np.ones(1, np.int64), (len(source[0]),)
    return Operation(name, "Mul", "shift", (tensor,), name, (source,), source, dims, total.parts, constant=one)


def _segments(graph: DataflowGraph, operations: list[Operation]) -> list[tuple[str, list[Operation]]]:
    """Operations between two cuts, with the tensor that they start from."""
    last_read = {name: k for k, operation in enumerate(operations) for name in operation.inputs}
    last_read[graph.ports.output.name] = len(operations)
    found, entry, pending = [], graph.ports.input.name, []
    live = {entry}
    for k, operation in enumerate(operations):
        pending.append(operation)
        live = {name for name in (*live, operation.output) if last_read.get(name, -1) > k}
        if live == {operation.output} or k + 1 == len(operations):
            found.append((entry, pending))
            entry, pending = operation.output, []
    return found


def _shape(entry: str, operations: list[Operation]) -> tuple | None:
    """What must be equal in layers that are to be one; None for what cannot be shared."""
    places = {entry: 0, **{operation.output: k + 1 for k, operation in enumerate(operations)}}
    found = []
    for operation in operations:
        channels = tuple(len(low) for low, _ in operation.sources)
        spread = operation.kind in ("sum", "product") and len({*channels}) > 1
        if operation.kind not in REPEATABLE or spread:
            return None
        inner = tuple(places[name] for name in operation.inputs)
        kind = "counts" if operation.kind in COUNTS else operation.kind
        states = operation.shape.state_bits if operation.shape else 0
        found.append((kind, inner, channels, operation.dims, operation.sign, states))
    return tuple(found)


def stacked(layers: Layers) -> list[Operation]:
    """The operations of one layer that is all of them; its first tensor is named as the first cut."""
    names = {layers.cuts[0]: layers.cuts[0]}
    found = []
    for alike in zip(*layers.repeated, strict=True):
        name = _common([operation.output for operation in alike])
        while name in names.values():
            name += "_"
        names[alike[0].output] = name
        found.append(_stack(alike, tuple(names[given] for given in alike[0].inputs), name))
    return found


def together(ranges: list[Range]) -> Range:
    """The ranges of channels that follow each other."""
    low, high = (np.concatenate(ends) for ends in zip(*ranges, strict=True))
    return low, high


def _common(tensors: list[str]) -> str:
    """What the names of a layer's tensor end in."""
    reverse = [name[::-1] for name in tensors]
    size = next((k for k, letters in enumerate(zip(*reverse, strict=False)) if len({*letters}) > 1), min(map(len, reverse)))
    ending = reverse[0][:size][::-1].lstrip("._0123456789")
    return f"layer_{ending}" if ending else "layer"


def _stack(alike: tuple[Operation, ...], inputs: tuple[str, ...], name: str) -> Operation:
    first, count = alike[0], len(alike)
    constant, bias = None, first.bias
    if first.kind in MATRICES:
        constant = blocks_to_matrix(np.stack([one.fixed for one in alike]))
    elif first.kind in COUNTS:
        bias, constant = _counts(alike)
    elif first.constant is not None:
        constant = np.concatenate([np.broadcast_to(one.fixed, (one.channels,)) for one in alike])
    parameters = {key: np.concatenate([_every(one, key) for one in alike]) for key in first.parameters}
    outer = count * first.dims[0]
    dims = (outer, count * first.dims[1]) if first.kind in MATRICES and len(first.dims) > 1 else (outer, *first.dims[1:])
    return replace(
        first,
        name=name,
        inputs=inputs,
        output=name,
        sources=tuple(together(list(ranges)) for ranges in zip(*(one.sources for one in alike), strict=True)),
        limits=together([one.limits for one in alike]),
        dims=dims,
        constant=constant,
        bias=bias,
        rows=tuple(row for one in alike for row in one.rows),
        parameters=parameters,
        shape=first.shape and replace(first.shape, heads=count * first.shape.heads),
    )


def _counts(alike: tuple[Operation, ...]) -> tuple[int, np.ndarray]:
    """Bias and thresholds of all, as many of each: more that every input reaches, and more that none does."""
    bias = min(one.bias for one in alike)
    most = max(one.bias - bias + one.fixed.shape[1] for one in alike)
    low = min(int(one.sources[0][0].min()) for one in alike)
    high = max(int(one.sources[0][1].max()) for one in alike)
    rows = []
    for one in alike:
        own = np.clip(one.fixed, low, high + 1)
        before, behind = one.bias - bias, most - (one.bias - bias) - own.shape[1]
        padded = np.pad(own, ((0, 0), (before, 0)), constant_values=low)
        padded = np.pad(padded, ((0, 0), (0, behind)), constant_values=high + 1)
        rows.append(np.broadcast_to(padded, (one.channels, most)))
    return bias, np.concatenate(rows)


def _every(scan: Operation, key: str) -> np.ndarray:
    """A parameter of a scan with all its heads and modes."""
    found = scan.parameters[key]
    return found if key == "d" else np.broadcast_to(found, scan.parameters["a_re"].shape)


def blocks_to_matrix(blocks: np.ndarray) -> np.ndarray:
    """``(layers, inputs, outputs)`` on the diagonal of one matrix."""
    count, inputs, outputs = blocks.shape
    matrix = np.zeros((count, inputs, count, outputs), np.int64)
    matrix[np.arange(count), :, np.arange(count)] = blocks
    return matrix.reshape(count * inputs, count * outputs)


def matrix_to_blocks(matrix: np.ndarray, count: int) -> np.ndarray:
    """The inverse of ``blocks_to_matrix``."""
    inputs, outputs = (size // count for size in matrix.shape)
    return matrix.reshape(count, inputs, count, outputs)[np.arange(count), :, np.arange(count)]


def fused(operations: list[Operation], count: int) -> Operation:
    """Matrices of ``count`` layers that read one tensor as one matrix, an output of each in turn."""
    blocks = np.stack([matrix_to_blocks(operation.fixed, count) for operation in operations], axis=-1)
    blocks = blocks.reshape(*blocks.shape[:2], -1)
    name = "_".join([operations[0].output, *(operation.output.removeprefix("layer_") for operation in operations[1:])])
    low, high = (np.stack(ends, axis=-1).reshape(-1) for ends in zip(*(one.limits for one in operations), strict=True))
    dims = (count * blocks.shape[2], count * blocks.shape[1])
    constant = blocks_to_matrix(blocks)
    return replace(operations[0], name=name, kind="dense", output=name, limits=(low, high), dims=dims, constant=constant)
