"""How fast a graph steps, by the table of the RTL library (``rtl/timing.py``).

A sequence graph is what the RTL is made of, and its cycles are those that the RTL takes, exactly. The hardware of a step
graph is FINN's: there a node takes its operations over its lanes, and a step waits for the way of a state back to itself,
which is counted with the latencies of the library's modules.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ..dataflow.folding import Folding, cycles, refuse_misfit
from ..dataflow.graph import DataflowGraph
from ..dataflow.hardware import SCAN_LOOP
from ..dataflow.operation import MATRICES, Operation
from ..rtl import library
from ..rtl.build import Builder, Design, build
from ..rtl.names import Names
from ..rtl.netlist import Cell, Stream
from ..rtl.schedule import departures, interval, queued, total_cycles

# Modules between operations, which take no longer than the slower of the two.
BETWEEN = ("ssmq_widen", "ssmq_narrow")


@dataclass(frozen=True)
class Timing:
    """Cycles. ``spans``: of each node between two steps, 0 where it waits for the last one; ``interval``: the longest, of
    ``slowest``, a node or a port whose channels pass one a cycle. ``loop``: from a state until it may be read again.
    ``alone``: of a step with none before it. ``design``: the RTL of a sequence graph."""

    spans: tuple[int, ...]
    interval: int
    slowest: str
    loop: int
    alone: int
    design: Design | None = None

    @property
    def per_step(self) -> int:
        return max(self.interval, self.loop)

    def of_sequence(self, length: int) -> tuple[int, int]:
        """From the first beat of a sequence of ``length`` steps to its last output, and between two sequences."""
        if self.design is not None:
            return total_cycles(self.design, 1, length)
        return (length - 1) * self.per_step + self.alone, length * self.per_step


def timing(graph: DataflowGraph, nodes: Iterable[Folding], memories: Iterable[Folding]) -> Timing:
    """Timing of a graph at the foldings of its nodes, and of the memories between them."""
    nodes = list(nodes)
    if graph.form == "sequence-dataflow":
        return _of_sequence(graph, nodes)
    spans = tuple(cycles(operation, folding) for operation, folding in zip(graph.operations, nodes, strict=True))
    slowest = max(range(len(spans)), key=spans.__getitem__)
    operations = [*graph.operations, *graph.memories]
    delays = {o.name: latency(o, f) for o, f in zip(operations, [*nodes, *memories], strict=True)}
    loop = _loop(operations, delays, graph.ports.successors)
    given = {name for operation in operations for name in operation.inputs} - {o.output for o in graph.operations}
    fill = max(_longest(operations, delays, given).values())
    return Timing(spans, spans[slowest], graph.operations[slowest].name, loop, max(spans[slowest], loop) + fill)


def _of_sequence(graph: DataflowGraph, nodes: list[Folding]) -> Timing:
    for operation, folding in zip(graph.operations, nodes, strict=True):
        refuse_misfit(operation, folding)
    design = queued(build(graph, nodes, Names()))
    every = [
        [cell for cell in design.parts[operation.name] if not next(iter(cell.inputs.values())).once]
        for operation in graph.operations
    ]
    spans = tuple(max((cell.interval for cell in cells if cell.module not in BETWEEN), default=0) for cells in every)
    found, longest = interval(design), max(spans)
    ports = graph.ports.input, graph.ports.output
    slowest = graph.operations[spans.index(longest)].name if found == longest else max(ports, key=lambda p: p.channels).name
    loop = SCAN_LOOP * any(operation.kind == "scan" for operation in graph.operations)
    return Timing(spans, found, slowest, loop, total_cycles(design, 1, 1)[0], design)


def cells_of(design: Design, operations: list[Operation]) -> list[list[Cell]]:
    """The cells of each operation. Queues belong to the one that reads them, what is behind all to the last one."""
    owner = {cell.name: place for place, operation in enumerate(operations) for cell in design.parts[operation.name]}
    readers = {stream.name: cell.name for cell in design.cells for stream in cell.inputs.values()}
    found: list[list[Cell]] = [[] for _ in operations]
    for cell in reversed(design.cells):
        behind = [owner[readers[stream.name]] for stream in cell.outputs.values() if stream.name in readers]
        found[owner.setdefault(cell.name, behind[0] if behind else len(operations) - 1)].append(cell)
    return found


def latency(operation: Operation, folding: Folding) -> int:
    """Cycles from the first beat of a step to the first that leaves, where a beat comes every cycle."""
    refuse_misfit(operation, folding)
    one = Stream("one", 1, 1, 1, False)
    if operation.kind in ("state", "fork"):
        # What is kept goes through a queue.
        kept = operation.parts[0].stored
        return (library.fifo(one, one, 2) if kept else library.fork(one, [one])).timing.latency
    if operation.kind in MATRICES:
        return _matrix_latency(operation, *(*folding.lanes, 1)[:2])
    lanes = folding.lanes[0]
    builder = Builder([operation], (operation.output,), Names())
    times = {}
    for name, source in zip(operation.inputs, operation.sources, strict=True):
        stream = builder.enter(name, source, min(lanes, len(source[0])))
        times[stream.name] = np.arange(stream.beats)
    builder.visit(operation, folding)
    for cell in builder.cells:
        leaving = departures(cell, times, 1)
        times |= leaving
    return int(next(iter(leaving.values()))[0])


def _matrix_latency(operation: Operation, pe: int, simd: int) -> int:
    """Of the terms of one output alone, which a step graph's read-out of modes has few of."""
    terms = operation.dims[1] if len(operation.dims) == 2 else 1
    given, made = Stream("given", terms, simd, 1, True), Stream("made", pe, pe, 1, True)
    cell = library.matvec(given, made, np.zeros((1, terms, pe), np.int64))
    again = library.replay(given, given, 2).timing.latency if operation.kind == "dense" and operation.dims[0] > pe else 0
    return again + int(cell.timing.departures(np.arange(given.beats), 1)[0])


def _longest(operations: list[Operation], delays: dict[str, int], starts: Iterable[str]) -> dict[str, int]:
    """Longest latency to every tensor behind one of ``starts``, their own forks included."""
    buffered = {operation.output: delays[operation.name] for operation in operations if operation.kind == "fork"}
    reached = {name: buffered.get(name, 0) for name in starts}
    for operation in operations:
        arrivals = [reached[name] for name in operation.inputs if name in reached]
        if arrivals:
            reached[operation.output] = max(arrivals) + delays[operation.name] + buffered.get(operation.output, 0)
    return reached


def _loop(operations: list[Operation], delays: dict[str, int], successors: dict[str, str]) -> int:
    """The longest way from a state to a state that leads back to it."""
    kept = [operation for operation in operations if operation.kind == "state" and operation.output in successors]
    states = {operation.output: delays[operation.name] for operation in kept}
    reached = {state: _longest(operations, delays, [state]) for state in states}
    loops = [
        reached[first][successors[second]] + states[second]
        for first in states
        for second in states
        if successors[second] in reached[first] and successors[first] in reached[second]
    ]
    return max(loops, default=0)
