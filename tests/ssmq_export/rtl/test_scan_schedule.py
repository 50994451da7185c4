"""Cycles foretold and queues chosen, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from bench import counting, span
from ssmq_export.dataflow.folding import Folding
from ssmq_export.errors import ExportError
from ssmq_export.rtl import library, schedule
from ssmq_export.rtl.build import Builder, Design
from ssmq_export.rtl.names import Names
from ssmq_export.rtl.netlist import Stream, stream_of
from ssmq_export.rtl.schedule import interval, queued, total_cycles, with_queues
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


def test_sums_that_no_code_of_64_bits_holds_are_refused():
    """All modes are rounded by the largest shift: a number of 20 bits with a shift of 0 is raised by 40."""
    wide = np.array([[1 << 20, 1]])
    zero, given = np.zeros((1, 2), np.int64), Stream("u", 1, 1, 8, True)
    numbers = {"a_re": wide, "d": np.array([0]), "shift": np.array([[0, 30]])}
    numbers |= dict.fromkeys(("a_im", "b_re", "b_im", "c_re", "c_im"), zero)
    # 20 bits, raised by 30, times a state of 11 or of 12 bits.
    library.scan(given, given.named("y"), 1, numbers, 11)
    with pytest.raises(ExportError, match="its sums need more than 63 bits"):
        library.scan(given, given.named("y"), 1, numbers, 12)


def test_a_search_of_more_thresholds_than_16_bits_count_is_refused():
    rows = np.cumsum(np.random.default_rng(0).integers(1, 4, 1 << 16))[None]
    counts = counting("y", "u", span(1, 0, 2**18 - 1), rows, 0)
    builder = Builder([counts], ("y",), Names())
    builder.enter("u", counts.sources[0])
    with pytest.raises(ExportError, match="^y: a search of 65,536 thresholds has no RTL"):
        builder.visit(counts, Folding((1,)))


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


def test_cycles_of_long_sequences_are_foretold_from_their_first_steps(monkeypatch):
    design = queued(diamond(4))
    counted = [total_cycles(design, 3, steps) for steps in range(1, 40)]
    monkeypatch.setattr(schedule, "SETTLED", 2)
    assert [total_cycles(design, 3, steps) for steps in range(1, 40)] == counted


def test_a_replay_has_room_for_the_step_that_comes_while_another_passes_for_the_last_time():
    """Twelve beats come 6 cycles apart, step after step, and pass six times: the first pass ends with its last beat in cycle
    66, four more take 48 cycles, and until the first beat is gone, in cycle 117, eight of the next step have come: 20."""
    given = Stream("x", 12, 1, 8, True)
    cell = library.replay(given, given.named("again"), 6)
    (found,) = with_queues([cell], {"x": 6 * np.arange(12 * 50)})
    assert cell.parameters["DEPTH"] == 16 and found.parameters["DEPTH"] == 32
    # Where all beats of a step come at once, those of the next one come when they have gone.
    (same,) = with_queues([cell], {"x": (72 * np.arange(50)[:, None] + np.arange(12)).reshape(-1)})
    assert same.parameters["DEPTH"] == 16
