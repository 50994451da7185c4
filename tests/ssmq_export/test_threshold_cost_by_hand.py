"""What roundings and thresholds take, counted by hand: shifts keep no thresholds, a search keeps them stage by stage.

How long they take is that of the RTL: a line (an adder, 2 to round, 3 for factors, 1 for powers of two) or a table (2),
and a register behind either.
"""

from __future__ import annotations

import numpy as np
from hand_counts import CONTROL, ECP5, added, one_node, operation, taken, times
from ssmq_export.dataflow.folding import Folding, cycles
from ssmq_export.dataflow.operation import Operation
from ssmq_export.estimates.timing import latency

LEVELS = np.arange(-3, 4)


def counted(rows, channels: int, bias: int, kind: str, **types) -> Operation:
    attributes = {"out_dtype": kind, "out_scale": 1.0, "out_bias": float(bias), "data_layout": "NC"}
    return operation(one_node("MultiThreshold", channels, channels, np.array(rows), **attributes), y=kind, **types)


def rows_of(*shifts: int, moved: tuple[int, ...] = (0,)) -> np.ndarray:
    """Where ``(s + moved) / 2**shift`` rounded half to even reaches each level, a row a channel."""
    return np.array(
        [LEVELS * 2**k - 2 ** (k - 1) + LEVELS % 2 - by for k, by in zip(shifts, moved * len(shifts), strict=False)]
    )


def test_a_rounding():
    """To 3 bits by one shift: an adder of 10 bits, an or-tree of two LUTs, a choice of 3 bits; nothing is stored."""
    found = counted(rows_of(4), 4, -4, "INT3", u="INT10")
    assert found.kind == "rounding" and (found.stored_bits, found.multiplications) == (0, 0)
    assert taken(found) == added((10 + 2 + 3, 3 + 2), CONTROL[4])
    assert taken(found, (2,)) == added(times(2, (10 + 2 + 3, 3 + 2)), CONTROL[2])
    assert (cycles(found, Folding((2,))), latency(found, Folding((2,)))) == (2, 1 + 2 + 1)


def test_a_rounding_by_a_shift_a_channel():
    """Three shifts: two multiplexers on each of 10 bits, four words of 3 bits (a shift by 6)."""
    found = counted(rows_of(4, 6, 5, 4), 4, -4, "INT3", u="INT10")
    assert found.kind == "rounding" and found.stored_bits == 4 * 3
    assert taken(found) == added((15, 5), (2 * 10, 10), (3, 3), CONTROL[4])
    # Factors that are powers of two.
    assert latency(found, Folding((1,))) == 1 + 2 + 1 + 1


def test_a_rounding_after_an_offset():
    # The same for all: an adder of 10 bits with a wired constant.
    found = counted(rows_of(4, moved=(5,)), 4, -4, "INT3", u="INT10")
    assert found.kind == "rounding" and found.stored_bits == 0
    assert taken(found) == added((15, 5), (10, 10), CONTROL[4])
    assert latency(found, Folding((1,))) == 1 + 2 + 1
    # One a channel, from -9 to 5: four words of 5 bits.
    found = counted(rows_of(4, 4, 4, 4, moved=(5, -9, 0, 5)), 4, -4, "INT3", u="INT10")
    assert found.kind == "rounding" and found.stored_bits == 4 * 5
    assert taken(found) == added((15, 5), (10, 10), (5, 5), CONTROL[4])
    assert latency(found, Folding((1,))) == 1 + 2 + 1
    # Shifts and offsets: all of it.
    found = counted(rows_of(4, 5, 4, 5, moved=(5, -9, 0, 5)), 4, -4, "INT3", u="INT10")
    assert found.stored_bits == 4 * 3 + 4 * 5
    assert taken(found) == added((15, 5), (10, 10), (3, 3), (10, 10), (5, 5), CONTROL[4])
    assert latency(found, Folding((1,))) == 1 + 2 + 1 + 1


def test_thresholds_of_three_levels():
    """A search of two stages: the middle one, then one of two. Each keeps the code of 8 bits and what it knows of the count."""
    found = counted([[10, 100, 120]], 4, 0, "UINT2", u="UINT8")
    assert found.kind == "thresholds" and (found.stored_bits, found.multiplications) == (3 * 7, 0)
    # Thresholds of 7 bits, one word and two: 7 LUTs and FFs; the comparison, its carry; the registers.
    first, second = added((7, 7), (7, 1), (0, 8)), added((7, 7), (7, 1), (0, 8 + 1))
    assert taken(found) == added(first, second, CONTROL[4])
    # A lane has a copy.
    assert taken(found, (2,)) == added(times(2, first), times(2, second), CONTROL[2])
    assert (cycles(found, Folding((2,))), latency(found, Folding((2,)))) == (2, 2 + 1)


def test_thresholds_a_channel():
    """12 words of 7 bits; four thresholds take a third stage, and five do with it."""
    rows = [[10, 100, 120], [1, 2, 90], [0, 7, 8], [5, 6, 127]]
    found = counted(rows, 4, 0, "UINT2", u="UINT8")
    assert found.stored_bits == 4 * 3 * 7
    assert taken(found) == added((7, 7), (7, 1), (0, 8), (7, 7), (7, 1), (0, 9), CONTROL[4])
    five = counted([[10, 100, 120, 121, 255]], 4, -3, "INT3", u="UINT8")
    stages = added((8, 8), (8, 1), (0, 8), (8, 8), (8, 1), (0, 9), (8, 8), (8, 1), (0, 10), CONTROL[4])
    assert taken(five) == taken(counted([[10, 100, 121, 255]], 4, -3, "INT3", u="UINT8")) == stages
    assert latency(five, Folding((1,))) == 2 + 1
    # Of codes too many for a table, three searches of 3 cycles each, what they found, and a register.
    wide = counted([[10, 100, 120, 121, 255]], 4, -3, "INT3", u="UINT16")
    assert latency(wide, Folding((1,))) == 3 * 3 + 1 + 1


def test_thresholds_of_many_channels_fill_luts_and_blocks():
    """48 channels: the second stage's 2 * 48 words of 25 bits are past 64 words and past 2,304 bits."""
    rows = np.array([[10, 100, 2**24]]) + 2 * np.arange(48)[:, None]

    def draw(g):
        wide = g.node("Mul", [g.input("u", 48), g.constant("by", np.array(512))], "wide", 48)
        found = {"out_dtype": "UINT2", "out_scale": 1.0, "out_bias": 0.0, "data_layout": "NC"}
        g.output(g.node("MultiThreshold", [wide, g.constant("w", rows)], "y", 48, "qonnx.custom_op.general", **found), 48)

    found = operation(draw, u="UINT16", wide="UINT25", y="UINT2")
    first, second = added((25, 25), (25, 1), (0, 25)), added((0, 25, 0, 1), (25, 1), (0, 26))
    assert taken(found) == added(first, second, (6 + 1 + 2, 6 + 2))
    # Two lanes: 24 and 48 words in each.
    assert taken(found, (2,)) == added(times(2, first), times(2, (50, 25 + 1 + 26)), (5 + 1 + 2, 5 + 2))
    # An ECP5's LUTs have 16 words: two for 24 words, three for 48.
    first, second = added((50, 25), (25, 1), (0, 25)), added((75, 25), (25, 1), (0, 26))
    assert taken(found, (2,), ECP5) == added(times(2, first), times(2, second), (5 + 1 + 2, 5 + 2))
