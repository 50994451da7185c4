"""When every beat moves, and the queues that follow from it.

With input always there and output always taken, a chain of stream modules settles to the interval of its slowest part. A
queue is needed where ways from one tensor meet again, in front of the join, on the way that is shorter, and in front of
what takes beats unevenly: as deep as the beats that wait there when steps come at that interval. A replay has room for the
beats that come while those of the step before pass for the last time. Inside a loop, where every reader takes each beat, the
same schedule says what else needs a queue, and how fast the loop may turn.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from . import library
from .build import Design
from .netlist import Cell, Stream
from .timing import Looped, Replayed, serial

# Steps after which what waits at a join no longer grows: those on the way at once, and a few. Cycles of so many are counted.
SETTLED = 256


def interval(design: Design) -> int:
    """Cycles between two steps."""
    return max(cell.interval for cell in design.cells if not next(iter(cell.inputs.values())).once)


def departures(cell: Cell, times: dict[str, np.ndarray], sequences: int) -> dict[str, np.ndarray]:
    """When beats leave ``cell``, by stream; a join takes a beat when both are there, a loop's own are back in time."""
    if isinstance(cell.timing, Looped):
        found = cell.timing.issued(times[cell.inputs["in"].name], sequences)
        return {stream.name: leaving for stream, leaving in zip(cell.outputs.values(), found, strict=True)}
    arrivals = [times[stream.name] for stream in cell.inputs.values()]
    leaving = cell.timing.departures(np.maximum.reduce(arrivals), sequences)
    return {stream.name: leaving for stream in cell.outputs.values()}


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
            times |= departures(cell, times, count)
        ends.append(int(times[design.result.name][-1]) + 1)
    return ends[0], ends[1]


def queued(design: Design) -> Design:
    """``design`` with the queues that it needs."""
    spacing = interval(design) * np.arange(SETTLED)[:, None] + np.arange(design.given.beats)
    return replace(design, cells=with_queues(design.cells, {design.given.name: serial(spacing.reshape(-1))}))


def with_queues(cells: list[Cell], given: dict[str, np.ndarray]) -> list[Cell]:
    """``cells`` with queues in front of those that keep beats waiting, and with loops as slow as their layers ask for;
    ``given``: the cycles in which beats come."""
    while True:
        times = dict(given)
        found: list[Cell] = []
        for cell in cells:
            paced = any(stream.paced for stream in cell.inputs.values())
            if not isinstance(cell.timing, Looped) and (len(cell.inputs) > 1 or cell.timing.uneven or paced):
                cell = _with_queues(cell, times, found)
            leaving = departures(cell, times, 1)
            if isinstance(cell.timing, Replayed):
                cell = _with_room(cell, times, next(iter(leaving.values())))
            times |= leaving
            found.append(cell)
        slower = [_slower(cell, cells, times) if isinstance(cell.timing, Looped) else cell for cell in cells]
        if slower == cells:
            return found
        cells = slower


def _slower(loop: Cell, cells: list[Cell], times: dict[str, np.ndarray]) -> Cell:
    """``loop``, with longer slots where a cell falls behind, or a beat is not back when it is wanted, ``slots`` + 1 slots
    later."""
    timing, (fresh, back), (out, result) = loop.timing, loop.inputs.values(), loop.outputs.values()
    assert isinstance(timing, Looped)
    busiest = max(cell.interval for cell in cells if not next(iter(cell.inputs.values())).once)
    if busiest > loop.interval:
        return library.loop(fresh, back, out, result, -(-busiest // timing.slots))
    wanted = (times[out.name] - timing.latency).reshape(-1, timing.slots, timing.beats)
    # Of slot 0 the result takes the place, from its first cycle on without a gap.
    wanted[1:, 0] = wanted[:-1, -1, -1:] + 2 + np.arange(timing.beats)
    later = (timing.slots + 1) * timing.beats
    there = times[back.name][:-later] + library.queue_latency(loop.parameters)
    late = int((there - wanted.reshape(-1)[later:]).max())
    if late <= 0:
        return loop
    return library.loop(fresh, back, out, result, timing.slot + -(-late // (timing.slots + 1)))


def _with_queues(cell: Cell, times: dict[str, np.ndarray], cells: list[Cell]) -> Cell:
    inputs = dict(cell.inputs)
    for again in (False, True):
        arrivals = np.maximum.reduce([times[stream.name] for stream in inputs.values()])
        taken = cell.timing.taken(arrivals)
        for port, stream in inputs.items():
            # Beats that came before beat k is taken, itself not counted.
            waiting = np.searchsorted(times[stream.name], taken) - np.arange(len(taken))
            # A queue takes a cycle or two, for which what is paced would have to wait.
            if (most := int(waiting.max())) > 0 and (stream.paced or not again):
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
    held = replace(stream, name=f"{stream.name}_queued", paced=False)
    cell = library.register(stream, held) if beats == 1 else library.fifo(stream, held, beats + 2)
    cells.append(cell)
    times |= departures(cell, times, 1)
    return held
