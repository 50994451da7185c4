"""What one node takes, counted by hand: LUTs and flip-flops of every adder, product, register and memory in it.

A LUT6 keeps 64 words of a bit; an adder takes a LUT and a flip-flop a bit; a product takes a multiplier, however small.
"""

from __future__ import annotations

import numpy as np
import pytest
from hand_counts import ARTY, CONTROL, ECP5, ZYNQ_US, added, one_node, operation, taken, times
from ssmq_export.dataflow.folding import Folding, cycles
from ssmq_export.dataflow.operation import Operation
from ssmq_export.estimates.timing import latency


def matmul(matrix, **types) -> Operation:
    return operation(one_node("MatMul", *np.shape(matrix), matrix), **types)


def elementwise(op: str, channels: int, constant, first=False, **types) -> Operation:
    shaped = None if constant is None else np.reshape(constant, (1, -1))
    return operation(one_node(op, channels, channels, shaped, first), **types)


def of_two(op: str, channels: int, kind: str) -> Operation:
    """A product or sum of two tensors, ``u`` of 4 bits and ``v`` of 7."""

    def draw(g):
        g.input("u", channels)
        g.node("Mul", ["u", g.constant("w", np.full((1, channels), 5))], "v", channels)
        g.output(g.node(op, ["u", "v"], "y", channels), channels)

    return operation(draw, u="UINT4", v="UINT7", y=kind)


# 4 inputs, 3 outputs, one of 12 weights is 0.
DENSE = np.array([[1, 2, 3], [-4, 5, -6], [7, 0, -8], [1, 1, 1]])


def dense(bits: int = 4) -> Operation:
    """Weights of so many bits."""
    return matmul(DENSE * 2 ** (bits - 4), u="UINT8", y="INT18" if bits < 26 else "INT36")


# The first sum leaves four cycles behind its last inputs, and a level of the tree for each halving of the terms; two cycles
# more where inputs are kept for further outputs. Sums of 18 bits; weights of 4 bits, 12 words; inputs of 8 bits, 4 words, kept while 3 outputs need them.
@pytest.mark.parametrize(
    ("lanes", "rows", "span", "delay"),
    [
        # A product of 8 x 4 bits, an accumulator; weights in one LUT a bit; the buffer in 8 LUTs and a third more.
        ((1, 1), [(0, 8 + 4, 1), (18, 18), (4, 4), (11, 8), CONTROL[12]], 12, 2 + 3 + 4),
        # Two products, their adder, an accumulator; 6 words of 2 weights, 2 words of 2 inputs (16 LUTs and a third).
        ((1, 2), [(0, 24, 2), (18, 18), (18, 18), (8, 8), (22, 16), CONTROL[6]], 6, 2 + 1 + 4 + 1),
        # A tree of three adders for four products, nothing to accumulate.
        ((1, 4), [(0, 48, 4), (54, 54), (16, 16), (43, 32), CONTROL[3]], 3, 2 + 4 + 2),
        # Three outputs at once, an accumulator each.
        ((3, 1), [(0, 36, 3), (54, 54), (12, 12), (11, 8), CONTROL[4]], 4, 3 + 4),
        ((3, 2), [(0, 72, 6), (54, 54), (54, 54), (24, 24), (22, 16), CONTROL[2]], 2, 1 + 4 + 1),
        # All at once: 12 products, three trees of three adders.
        ((3, 4), [(0, 144, 12), (162, 162), (48, 48), (43, 32), CONTROL[1]], 1, 4 + 2),
    ],
)  # fmt: skip
def test_a_dense_layer(lanes, rows, span, delay):
    layer = dense()
    assert layer.kind == "dense"
    assert taken(layer, lanes) == added(*rows)
    assert (cycles(layer, Folding(lanes)), latency(layer, Folding(lanes))) == (span, delay)
    assert (layer.stored_bits, layer.multiplications) == (12 * 4, 11)


@pytest.mark.parametrize(
    ("part", "bits", "lanes", "use_dsp", "rows"),
    [
        # A multiplier of 8 x 8 bits: its registers, the accumulator, 12 weights of 8 bits, the buffer.
        (ARTY, 8, (1, 1), True, [(0, 16, 1), (18, 18), (8, 8), (11, 8), CONTROL[12]]),
        (ARTY, 8, (1, 1), False, [(64, 16), (18, 18), (8, 8), (11, 8), CONTROL[12]]),
        (ARTY, 8, (3, 2), True, [(0, 96, 6), (108, 108), (48, 48), (22, 16), CONTROL[2]]),
        (ARTY, 8, (3, 2), False, [(384, 96), (108, 108), (48, 48), (22, 16), CONTROL[2]]),
        # 8 x 26 bits: two tiles and an adder of 34 bits to join them; a tile of UltraScale+ has 27 bits.
        (ARTY, 26, (1, 1), True, [(34, 68, 2), (36, 36), (26, 26), (11, 8), CONTROL[12]]),
        (ZYNQ_US, 26, (1, 1), True, [(0, 34, 1), (36, 36), (26, 26), (11, 8), CONTROL[12]]),
        # A buffer of an ECP5 takes half more than 8 LUTs.
        (ECP5, 26, (1, 1), True, [(34, 68, 2), (36, 36), (26, 26), (12, 8), CONTROL[12]]),
        (ECP5, 8, (1, 1), True, [(0, 16, 1), (18, 18), (8, 8), (12, 8), CONTROL[12]]),
    ],
)  # fmt: skip
def test_multipliers_of_a_dense_layer(part, bits, lanes, use_dsp, rows):
    assert taken(dense(bits), lanes, part, use_dsp) == added(*rows)


def test_weights_of_a_large_layer_are_in_blocks():
    """32 x 48 words of 8 bits are past an eighth of a block; the inputs, 32 words, are not."""
    weights = np.where(np.arange(32 * 48).reshape(32, 48) % 3 == 0, 0, -100)
    layer = matmul(weights, u="UINT8", y="INT21")
    # 1,536 words of 8 bits: one of 2048 x 9. 32 words in 8 LUTs and a third more. A counter of 11 bits, two LUTs tell its end.
    assert taken(layer, (1, 1)) == added((0, 16, 1), (21, 21), (0, 8, 0, 1), (11, 8), (11 + 2 + 2, 11 + 2))
    # ECP5: LUTs of 16 words, so 2 * 8 and half more.
    assert taken(layer, (1, 1), ECP5) == added((0, 16, 1), (21, 21), (0, 8, 0, 1), (24, 8), (11 + 2 + 2, 11 + 2))
    # Two outputs of four terms: 192 words of 64 bits side by side, 512 x 36 twice.
    found = added(times(8, (0, 16, 1)), times(2 * 3 + 2, (21, 21)), (0, 64, 0, 2), (43, 32), (8 + 2 + 2, 8 + 2))
    assert taken(layer, (2, 4)) == found
    assert (layer.multiplications, layer.stored_bits) == (1024, 12288)


# Modes to heads: each of 4 inputs goes to one of 2 outputs, the last of them times 0.
GATHER = np.array([[3, 0], [-5, 0], [0, 7], [0, 0]])


@pytest.mark.parametrize(
    ("lanes", "rows", "span", "delay"),
    [
        # A product of 6 x 4 bits, an accumulator of 11, four weights of 4 bits; inputs pass once and are not kept.
        ((1, 1), [(0, 10, 1), (11, 11), (4, 4), CONTROL[4]], 4, 1 + 4),
        ((1, 2), [(0, 20, 2), (11, 11), (8, 8), CONTROL[2]], 2, 4 + 1),
        ((2, 1), [(0, 20, 2), (22, 22), (8, 8), CONTROL[2]], 2, 1 + 4),
        ((2, 2), [(0, 40, 4), (22, 22), (16, 16), CONTROL[1]], 1, 4 + 1),
    ],
)
def test_a_gather_does_one_product_an_input(lanes, rows, span, delay):
    gather = matmul(GATHER, u="INT6", y="INT11")
    assert gather.kind == "gather"
    assert taken(gather, lanes) == added(*rows)
    assert (cycles(gather, Folding(lanes)), latency(gather, Folding(lanes))) == (span, delay)
    assert (gather.stored_bits, gather.multiplications) == (4 * 4, 3)


def test_a_spread_of_products():
    """Heads to modes: 2 inputs, 6 outputs of one product each, one of them by 0."""
    spread = matmul([[3, 5, 6, 0, 0, 0], [0, 0, 0, 15, -3, 0]], u="UINT8", y="INT13")
    assert spread.kind == "spread"
    assert (spread.stored_bits, spread.multiplications) == (6 * 5, 5)
    # A multiplier of 8 x 5 bits; six words of 5 bits.
    assert taken(spread) == added((0, 13, 1), (5, 5), CONTROL[6])
    assert taken(spread, use_dsp=False) == added((40, 13), (5, 5), CONTROL[6])
    # Three lanes: two words of 15 bits.
    assert taken(spread, (3,)) == added((0, 39, 3), (15, 15), CONTROL[2])
    assert (cycles(spread, Folding((3,))), latency(spread, Folding((3,)))) == (2, 1 + 3)


def test_a_spread_of_shifts():
    """1, 2 and 4 are shifts by three choices, 0 is no choice: two multiplexers a bit of the result."""
    spread = matmul([[1, 2, 4, 0, 0, 0], [0, 0, 0, 1, 1, 0]], u="UINT8", y="UINT10")
    assert spread.kind == "spread" and spread.multiplications == 0
    assert taken(spread) == added((2 * 10, 10), (3, 3), CONTROL[6])
    assert taken(spread, (2,)) == added((4 * 10, 20), (6, 6), CONTROL[3])
    assert latency(spread, Folding((2,))) == 1 + 3
    # A power of two below 0 is no shift.
    assert matmul([[1, 2, -4, 0]], u="UINT8", y="INT11").multiplications == 3


def test_a_product_of_two_tensors():
    gate = of_two("Mul", 4, "UINT11")
    assert gate.kind == "product" and (gate.stored_bits, gate.multiplications) == (0, 4)
    # A multiplier of 4 x 7 bits, nothing stored.
    assert taken(gate) == added((0, 11, 1), CONTROL[4])
    assert taken(gate, (4,)) == added((0, 44, 4), CONTROL[1])
    assert taken(gate, (4,), use_dsp=False) == added((112, 44), CONTROL[1])
    assert (cycles(gate, Folding((2,))), latency(gate, Folding((2,)))) == (2, 3)


def test_products_with_constants():
    scale = elementwise("Mul", 4, [3, 5, -6, 15], u="UINT8", y="INT13")
    assert scale.kind == "scale" and (scale.stored_bits, scale.multiplications) == (20, 4)
    assert taken(scale) == added((0, 13, 1), (5, 5), CONTROL[4])
    assert taken(scale, (2,), use_dsp=False) == added((80, 26), (10, 10), CONTROL[2])
    # A product by factors from a memory, which is read ahead.
    assert latency(scale, Folding((1,))) == 1 + 3
    # One factor for all is wired.
    same = elementwise("Mul", 4, [15], u="UINT8", y="INT13")
    assert (same.stored_bits, same.multiplications, latency(same, Folding((1,)))) == (0, 4, 1)
    # A factor of 4 bits, without a sign.
    assert taken(same, (4,)) == added(times(4, (0, 8 + 4, 1)), CONTROL[1])


def test_shifts():
    shift = elementwise("Mul", 4, [1, 2, 1, 8], u="UINT8", y="UINT11")
    assert shift.kind == "shift" and (shift.stored_bits, shift.multiplications) == (16, 0)
    # Three choices: two stages; four words of 4 bits.
    assert taken(shift) == added((2 * 11, 11), (4, 4), CONTROL[4])
    assert latency(shift, Folding((1,))) == 1 + 1
    # The same for all: wires and a register.
    same = elementwise("Mul", 4, [4], u="UINT8", y="UINT10")
    assert same.kind == "shift" and same.stored_bits == 0
    assert taken(same, (2,)) == added((0, 20), CONTROL[2])


@pytest.mark.parametrize("op", ["Add", "Sub"])
def test_sums(op):
    found = of_two(op, 4, "INT9")
    assert found.kind == "sum" and (found.stored_bits, found.multiplications) == (0, 0)
    assert taken(found) == added((9, 9), CONTROL[4])
    assert taken(found, (4,)) == added((36, 36), CONTROL[1])
    assert (cycles(found, Folding((4,))), latency(found, Folding((4,)))) == (1, 1)


@pytest.mark.parametrize(("op", "first"), [("Add", False), ("Add", True), ("Sub", False), ("Sub", True)])
def test_constants_added(op, first):
    found = elementwise(op, 4, [3, 5, -6, 15], first, u="UINT8", y="INT10")
    assert found.kind == "offset" and (found.stored_bits, found.multiplications) == (20, 0)
    # The adder, four words of 5 bits.
    assert taken(found) == added((10, 10), (5, 5), CONTROL[4])
    assert taken(found, (2,)) == added((20, 20), (10, 10), CONTROL[2])
    # Terms from a memory; with them a factor of -1 where the tensor is subtracted.
    assert latency(found, Folding((1,))) == 1 + 3 * ((op, first) == ("Sub", True))
    # The same for all is wired.
    same = elementwise(op, 4, [3], first, u="UINT8", y="INT10")
    assert same.stored_bits == 0
    assert taken(same) == added((10, 10), CONTROL[4])
