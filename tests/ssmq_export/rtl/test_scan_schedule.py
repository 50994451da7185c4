"""Cycles foretold and queues chosen, by hand."""

from __future__ import annotations

import numpy as np
from bench import span
from ssmq_export.rtl import library
from ssmq_export.rtl.build import Design
from ssmq_export.rtl.netlist import Stream, stream_of
from ssmq_export.rtl.schedule import interval, queued, total_cycles
from ssmq_export.rtl.timing import LastStep, Parts, Replayed, Scanned, Several, serial


def test_beats_lie_apart_as_far_as_they_must():
    assert serial(np.array([0, 1, 2, 30])).tolist() == [0, 1, 2, 30]
    assert serial(np.array([0, 0, 0, 30]), 4).tolist() == [0, 4, 8, 30]
    assert serial(np.array([0, 1, 2, 3]), np.array([2, 7, 2, 7])).tolist() == [0, 2, 9, 11]


def test_departures_by_hand():
    arrivals = np.array([0, 1, 2, 3])
    assert Several(6, 2).departures(arrivals, 1).tolist() == [7, 9]
    assert Parts(1, 2).departures(arrivals, 1).tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    # Two beats a step, three times: the next step waits until all have left.
    assert Replayed(2, 2, 3).departures(arrivals, 1).tolist() == [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]
    assert LastStep(1, 1).departures(arrivals, 2).tolist() == [2, 4]
    # Two heads of three modes take six cycles, but a state is back after ten.
    assert Scanned(16, 2, 3).departures(arrivals, 1).tolist() == [19, 22, 29, 32]


def diamond(passes: int) -> Design:
    """A tensor of 4 channels and itself times a matrix, one after the other, added."""
    given = stream_of("x", span(4, -8, 7), 1)
    long, short = given.named("x_0"), given.named("x_1")
    replayed, product = given.named("x_replayed"), Stream("wx", 4, 1, 12, True)
    result = Stream("y", 4, 1, 13, True)
    cells = [
        library.fork(given, [long, short]),
        library.replay(long, replayed, passes),
        library.matvec(replayed, product, np.ones((1, 4, 4), np.int64)),
        library.add(short, product, result, (0, 0), 1),
    ]
    return Design(cells, given, result)


def test_the_shorter_way_gets_a_queue_for_what_waits():
    design = queued(diamond(4))
    assert interval(design) == 16
    # The first sum leaves 2 + 3 + 4 cycles after the first beat, the other three beats of the step long there.
    (queue,) = [cell for cell in design.cells if cell.module == "ssmq_fifo"]
    assert queue.inputs["in"].name == "x_1" and queue.parameters["DEPTH"] >= 4
    first, further = total_cycles(design, 1, 1)[0], total_cycles(design, 1, 1)[1]
    # The last of 16 beats of the replay is there in cycle 2 + 15, its sum 4 later, and 1 for the sum of both.
    assert (first, further) == (2 + 15 + 4 + 1 + 1, 16)
    assert total_cycles(design, 3, 5) == (first + 14 * 16, 5 * 16)
