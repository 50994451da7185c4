"""When every beat moves, and the queues that follow from it.

With input always there and output always taken, a chain of stream modules settles to the interval of its slowest part. A
queue is needed where ways from one tensor meet again, in front of the join, on the way that is shorter, and in front of
what takes beats unevenly: as deep as the beats that wait there when steps come at that interval. A replay has room for the
beats that come while those of the step before pass for the last time.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from . import library
from .build import Design
from .netlist import Cell, Stream
from .timing import Replayed, serial

# Steps after which what waits at a join no longer grows: those on the way at once, and a few. Cycles of so many are counted.
SETTLED = 256


def interval(design: Design) -> int:
    """Cycles between two steps."""
    return max(cell.interval for cell in design.cells if not next(iter(cell.inputs.values())).once)


def departures(cell: Cell, times: dict[str, np.ndarray], sequences: int) -> np.ndarray:
    """When beats leave ``cell``; a join takes a beat when both are there."""
    arrivals = [times[stream.name] for stream in cell.inputs.values()]
    return cell.timing.departures(np.maximum.reduce(arrivals), sequences)


def total_cycles(design: Design, sequences: int, steps: int) -> tuple[int, int]:
    """Cycles from taking the first beat to giving the last one of one sequence, and those that every further one adds."""
    period, counted = interval(design), min(steps, SETTLED)
    while True:
        (first, both), before = _ends(design, counted), _ends(design, counted - 1)[0] if counted < steps else 0
        # A step never adds less than the one before it, and none adds more than the interval.
        if counted == steps or (first - before == period and both - first == counted * period):
            break
        counted = min(2 * counted, steps)
    more = (steps - counted) * period
    further = both - first + more
    return first + more + (sequences - 1) * further, further


def _ends(design: Design, steps: int) -> tuple[int, int]:
    """When one and when two sequences of so many steps have left."""
    ends = []
    for count in (1, 2):
        times = {design.given.name: np.arange(count * steps * design.given.beats)}
        for cell in design.cells:
            leaving = departures(cell, times, count)
            times |= {stream.name: leaving for stream in cell.outputs.values()}
        ends.append(int(times[design.result.name][-1]) + 1)
    return ends[0], ends[1]


def queued(design: Design) -> Design:
    """``design`` with the queues that it needs."""
    spacing = interval(design) * np.arange(SETTLED)[:, None] + np.arange(design.given.beats)
    return replace(design, cells=with_queues(design.cells, {design.given.name: serial(spacing.reshape(-1))}))


def with_queues(cells: list[Cell], times: dict[str, np.ndarray]) -> list[Cell]:
    """``cells`` with queues in front of those that keep beats waiting; ``times`` in which the given ones come."""
    found: list[Cell] = []
    for cell in cells:
        if len(cell.inputs) > 1 or cell.timing.uneven:
            cell = _with_queues(cell, times, found)
        leaving = departures(cell, times, 1)
        if isinstance(cell.timing, Replayed):
            cell = _with_room(cell, times, leaving)
        times |= {stream.name: leaving for stream in cell.outputs.values()}
        found.append(cell)
    return found


def _with_queues(cell: Cell, times: dict[str, np.ndarray], cells: list[Cell]) -> Cell:
    arrivals = np.maximum.reduce([times[stream.name] for stream in cell.inputs.values()])
    taken = cell.timing.taken(arrivals)
    inputs = dict(cell.inputs)
    for port, stream in cell.inputs.items():
        # Beats that came before beat k is taken, itself not counted.
        waiting = np.searchsorted(times[stream.name], taken) - np.arange(len(taken))
        if (most := int(waiting.max())) > 0:
            inputs[port] = _queue(stream, most, times, cells)
    return replace(cell, inputs=inputs)


def _with_room(cell: Cell, times: dict[str, np.ndarray], leaving: np.ndarray) -> Cell:
    """A replay with room for every beat that comes before those of its last pass have left."""
    arrivals, timing = times[cell.inputs["in"].name], cell.timing
    assert isinstance(timing, Replayed)
    freed = leaving.reshape(-1, timing.passes, timing.beats)[:, -1].reshape(-1)
    kept = np.arange(len(arrivals)) - np.searchsorted(freed, arrivals, side="right") + 1
    depth = max(cell.parameters["DEPTH"], library.power(int(kept.max())))
    return replace(cell, parameters={**cell.parameters, "DEPTH": depth})


def _queue(stream: Stream, beats: int, times: dict[str, np.ndarray], cells: list[Cell]) -> Stream:
    held = stream.named(f"{stream.name}_queued")
    cell = library.register(stream, held) if beats == 1 else library.fifo(stream, held, beats + 2)
    cells.append(cell)
    times[held.name] = departures(cell, times, 1)
    return held
