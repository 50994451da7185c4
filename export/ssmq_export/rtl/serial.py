"""The serial shape: one layer of cells that takes the place of all layers that have its shape.

A loop sends the layers' tensors through it one after another, layer k with the step that layer k - 1 had before, so that
they are independent and nothing waits. Only numbers and states grow with the layers. Inside the loop every beat leaves a
fixed time after it came: streams there are paced, and none of their readers ever says no.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from itertools import product
from math import prod

import numpy as np
import onnx

from ..dataflow.folding import Folding, cycles, fold
from ..dataflow.graph import DataflowGraph
from ..dataflow.keys import length_of
from ..dataflow.operation import MATRICES, Operation
from ..errors import ExportError
from . import library
from .build import Builder, Design
from .layers import Layers, fused, layers_of, stacked
from .names import Names
from .netlist import Stream, stream_of
from .schedule import interval, queued


def build_serial(graph: DataflowGraph, foldings: list[Folding], names: Names) -> Design:
    """As ``build``, in the serial shape; raises ExportError where no layer is there twice."""
    layers, port = layers_of(graph), graph.ports.output
    chosen = {operation.output: folding for operation, folding in zip(graph.operations, foldings, strict=True)}
    # A term of a sum has the sum's lanes.
    chosen |= {f"{name}.{k}": folding for name, folding in chosen.items() for k in range(2)}
    builder = Builder([*layers.before, *layers.after], (layers.cuts[0], port.name), names)
    given = builder.enter_port(graph)
    for operation in layers.before:
        builder.visit(operation, chosen[operation.output])
    layered = visit_layers(builder, layers, chosen)
    for operation in layers.after:
        builder.visit(operation, chosen[operation.output])
    result = builder.leave(port.name, bool(port.each_step))
    return Design(builder.cells, given, result, builder.tensors, layered)


def has_layers(model: onnx.ModelProto) -> bool:
    """Whether a sequence dataflow graph has this shape."""
    try:
        return bool(layers_of(DataflowGraph(model)).repeated)
    except ExportError:
        return False


def visit_layers(outer: Builder, layers: Layers, chosen: dict[str, Folding]) -> dict[str, list[str]]:
    """Add the loop and the one layer in it to ``outer``; by stream the tensors that it carries, layer after layer."""
    turning = _turning(layers, chosen[layers.cuts[1]].lanes[0], outer.names)
    one_step = replace(turning, channels=turning.channels // turning.slots, slots=1, paced=False)
    fresh = outer.in_format(outer.take(layers.cuts[0], turning.lanes), one_step)
    result = one_step.named(outer.names.new(f"{layers.cuts[-1]}_through"))
    inner, back, layered = _layer(layers, turning, chosen, outer.names)
    outer.cells += [library.loop(fresh, back, turning, result, 0), *inner]
    outer.offer(layers.cuts[-1], result)
    return layered


def _turning(layers: Layers, lanes: int, names: Names) -> Stream:
    """What goes round: wide enough for what enters every layer and leaves the last."""
    ends = [end for given, end in layers.ends for end in (given, end)]
    low, high = min(int(low.min()) for low, _ in ends), max(int(high.max()) for _, high in ends)
    channels = len(ends[0][0]) * len(layers.repeated)
    limits = np.full(channels, low, np.int64), np.full(channels, high, np.int64)
    return replace(stream_of(names.new("layer_given"), limits, lanes), slots=len(layers.repeated), paced=True)


def _layer(layers: Layers, turning: Stream, chosen: dict[str, Folding], names: Names):
    """Cells of the one layer, the stream that leaves it, and the tensors of its streams."""
    every, count = stacked(layers), turning.slots
    first = {operation.output: chosen[own.output] for operation, own in zip(every, layers.repeated[0], strict=True)}
    span = max(cycles(operation, chosen[operation.output]) for operation in layers.repeated[0])
    operations, parts = _joined(every, count)
    leaving = every[-1].output
    builder = Builder(operations, (leaving, *parts), names)
    builder.offer(layers.cuts[0], turning)
    for operation in operations:
        tensors = parts.get(operation.output, [])
        if tensors:
            one = tuple(size // count for size in operation.dims)
            folding = replace(first[tensors[0]], lanes=fewest_lanes(operation.output, one, span))
            builder.visit(operation, folding)
            builder.split(operation.output, folding.lanes[0], tensors)
        else:
            builder.visit(operation, first[operation.output])
    carried = {layers.cuts[0]: layers.cuts[:-1]}
    for operation, *alike in zip(every, *layers.repeated, strict=True):
        carried[operation.output] = [one.output for one in alike]
    back = builder.in_format(builder.take(leaving, turning.lanes), turning)
    layered = {stream: carried[tensor] for stream, tensor in builder.tensors.items() if tensor in carried}
    return builder.cells, back, layered


def _joined(operations: list[Operation], count: int) -> tuple[list[Operation], dict[str, list[str]]]:
    """Operations with matrices of one tensor as one, and the tensors that its outputs are in turn."""
    alike: dict[tuple, list[Operation]] = defaultdict(list)
    for operation in operations:
        if operation.kind in MATRICES:
            alike[operation.inputs + operation.dims].append(operation)
    found, parts = [], {}
    for operation in operations:
        group = alike.get(operation.inputs + operation.dims, []) if operation.kind in MATRICES else []
        if len(group) < 2:
            found.append(operation)
        elif operation is group[0]:
            found.append(fused(group, count))
            parts[found[-1].output] = [one.output for one in group]
    return found, parts


def serially_folded(model: onnx.ModelProto, fps: float, clock_mhz: float) -> onnx.ModelProto:
    """``model``, a sequence dataflow graph, with as few lanes as let ``fps`` sequences a second pass in this shape."""
    graph, steps = DataflowGraph(model), length_of(model)
    span = int(clock_mhz * 1e6 / (fps * steps))
    layers = layers_of(graph)
    inside = {operation.output for layer in layers.repeated for operation in layer}
    each = span // len(layers.repeated)
    while True:
        foldings = [
            Folding(fewest_lanes(one.output, one.dims, each if one.output in inside else span, one.kind == "scan"))
            for one in graph.operations
        ]
        if interval(queued(build_serial(graph, foldings, Names()))) <= span:
            return fold(model, graph.operations, foldings)
        # A layer is too long on its way, which more lanes shorten.
        busy = zip(graph.operations, foldings, strict=True)
        each = max(cycles(operation, folding) for operation, folding in busy if operation.output in inside) - 1


def fewest_lanes(name: str, dims: tuple[int, ...], span: int, modes: bool = False) -> tuple[int, ...]:
    """Lanes of an operation, as few as take ``span`` cycles at most; with ``modes`` those of a scan, a head's before
    several heads."""
    choices: list[tuple[int, ...]]
    if modes:
        choices = [*((1, n) for n in range(1, dims[1] + 1)), *((n, dims[1]) for n in range(2, dims[0] + 1))]
    else:
        choices = [lanes[::-1] for lanes in product(*(range(size, 0, -1) for size in reversed(dims)))]
    fitting = [
        lanes
        for lanes in choices
        if all(size % n == 0 for size, n in zip(dims, lanes, strict=True)) and prod(dims) <= span * prod(lanes)
    ]
    if not fitting:
        raise ExportError(f"{name}: no lanes do it in {span} cycles: ask for fewer sequences a second, or a faster clock")
    return min(fitting, key=prod)
