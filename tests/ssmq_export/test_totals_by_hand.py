"""What a whole layer takes, node by node and in all, counted by hand: as a graph of one step and as a DiagonalScan.

Two heads of two modes, thresholds of three levels, a running sum and a dense read-out:

    x(t) = round((A x(t - 1) + B u(t)) / 8)      y(t) = Re(C x(t)) + D u(t)      logits = W sum(v(y(t)))
"""

from __future__ import annotations

import numpy as np
import pytest
from hand_counts import CONTROL, added, times
from hand_graphs import dataflow
from ssmq_export.dataflow.folding import Folding, fold
from ssmq_export.dataflow.graph import DataflowGraph
from ssmq_export.dataflow.operation import Operation
from ssmq_export.door import admit
from ssmq_export.estimates import RESOURCES, estimate_graph, find_part, folded_graph
from ssmq_export.estimates.choice import Folded
from ssmq_export.estimates.cost import resources
from ssmq_export.estimates.timing import latency
from ssmq_export.lowering import collapse
from with_ports import with_ports

ARTY = find_part("xc7a35t")
LEVELS = np.arange(-7, 8)
# By 8, half to even: the first sum that rounds to each level.
ROUNDING = LEVELS[None] * 8 - 4 + LEVELS % 2
CONSTANTS = {
    "a_re": ((5, -6, 7, -8),),
    "a_im": ((-3, 4, 6, 2),),
    "b_re": ((1, 2, 0, 0), (0, 0, 4, 1)),  # shifts by 0, 1 and 2
    "b_im": ((3, 5, 0, 0), (0, 0, 6, 0)),
    "c_re": ((3, 0), (-5, 0), (0, 7), (0, 2)),
    "c_im": ((1, 0), (2, 0), (0, 3), (0, -5)),
    "d": ((500, -300),),
    "w": ((1, 2, 3), (-4, 5, 0)),
}
TYPES = {
    "u": "UINT4", **dict.fromkeys(("x_re_0", "x_im_0", "x_re_next_0", "x_im_next_0"), "INT4"),
    **dict.fromkeys(("rr", "ri", "ii", "ir"), "INT8"), "ax_re": "INT9", "ax_im": "INT9", "bu_re": "UINT7", "bu_im": "UINT7",
    "sum_re": "INT10", "sum_im": "INT10", "cx_re": "INT9", "cx_im": "INT9", "cx": "INT10", "du": "INT14", "y": "INT14",
    "v": "UINT2", "pool": "UINT6", "pool_next": "UINT6", "logits": "INT10",
}  # fmt: skip


def layer(g, rounding=ROUNDING) -> None:
    for name, channels in (("u", 2), ("x_re_0", 4), ("x_im_0", 4), ("pool", 2)):
        g.input(name, channels)
    known = {name: g.constant(name, values) for name, values in CONSTANTS.items()}

    def counted(source, output, rows, channels, bias, kind):
        rows = g.constant(f"{output}_rows", rows)
        attributes = {"out_dtype": kind, "out_scale": 1.0, "out_bias": float(bias), "data_layout": "NC"}
        g.node("MultiThreshold", [source, rows], output, channels, "qonnx.custom_op.general", **attributes)

    for output, state, factor in (("rr", "re", "re"), ("ri", "im", "im"), ("ii", "im", "re"), ("ir", "re", "im")):
        g.node("Mul", [f"x_{state}_0", known[f"a_{factor}"]], output, 4)
    g.node("Sub", ["rr", "ri"], "ax_re", 4)
    g.node("Add", ["ii", "ir"], "ax_im", 4)
    for part in ("re", "im"):
        g.node("MatMul", ["u", known[f"b_{part}"]], f"bu_{part}", 4)
        g.node("Add", [f"ax_{part}", f"bu_{part}"], f"sum_{part}", 4)
        counted(f"sum_{part}", f"x_{part}_next_0", rounding, 4, -8, "INT4")
        g.node("MatMul", [f"x_{part}_next_0", known[f"c_{part}"]], f"cx_{part}", 2)
    g.node("Sub", ["cx_re", "cx_im"], "cx", 2)
    g.node("Mul", ["u", known["d"]], "du", 2)
    g.node("Add", ["cx", "du"], "y", 2)
    counted("y", "v", ((0, 100, 900),), 2, 0, "UINT2")
    g.node("Add", ["pool", "v"], "pool_next", 2)
    g.node("MatMul", ["pool_next", known["w"]], "logits", 3)
    for name, channels in (("logits", 3), ("x_re_next_0", 4), ("x_im_next_0", 4), ("pool_next", 2)):
        g.output(name, channels)


STEP = admit(with_ports(dataflow(layer, **TYPES).model(), heads=2), "dataflow")
SCAN = collapse(STEP)

PRODUCT = added((0, 4 + 4, 1), (4, 4), CONTROL[4])  # of state and factor; four factors of 4 bits
THRESHOLDS = added((10, 10), (10, 1), (0, 14), (10, 10), (10, 1), (0, 15), CONTROL[2])  # two stages on 14 bits
READ = added((0, 8, 1), (9, 9), (4, 4), CONTROL[4])  # product, accumulator, four weights of 4 bits
# 6 x 4 bits, accumulator, six weights of 4 bits, two inputs of 6 bits kept in 6 LUTs and a third more.
DENSE = added((0, 10, 1), (10, 10), (4, 4), (8, 6), CONTROL[6])
STATE, POOL = added((6, 4), CONTROL[4]), added((8, 6), CONTROL[2])  # 4 words of 4 bits, 2 of 6 bits: a third more LUTs
# (LUT, FF, DSP, BRAM), cycles, latency as the RTL's modules have it, bits stored.
NODES = {
    **dict.fromkeys(("Mul_rr", "Mul_ri", "Mul_ii", "Mul_ir"), (PRODUCT, 4, 1 + 3, 4 * 4)),
    **dict.fromkeys(("Sub_ax_re", "Add_ax_im"), (added((9, 9), CONTROL[4]), 4, 1, 0)),
    # Three shifts of 7 bits, four words of 3 bits.
    "MatMul_bu_re": (added((2 * 7, 7), (3, 3), CONTROL[4]), 4, 1 + 3, 4 * 3),
    "MatMul_bu_im": (added((0, 4 + 3, 1), (3, 3), CONTROL[4]), 4, 1 + 3, 4 * 3),
    **dict.fromkeys(("Add_sum_re", "Add_sum_im"), (added((10, 10), CONTROL[4]), 4, 1, 0)),
    # 10 bits to 4.
    **dict.fromkeys(("MultiThreshold_x_re_next_0", "MultiThreshold_x_im_next_0"), (added((10 + 2 + 4, 4 + 2), CONTROL[4]), 4, 1 + 2 + 1, 0)),
    **dict.fromkeys(("MatMul_cx_re", "MatMul_cx_im"), (READ, 4, 1 + 4, 4 * 4)),
    "Sub_cx": (added((10, 10), CONTROL[2]), 2, 1, 0),
    # 4 x 10 bits; two words of 10 bits.
    "Mul_du": (added((0, 4 + 10, 1), (10, 10), CONTROL[2]), 2, 1 + 3, 2 * 10),
    "Add_y": (added((14, 14), CONTROL[2]), 2, 1, 0),
    "MultiThreshold_v": (THRESHOLDS, 2, 3 + 3 + 1 + 1, 3 * 10),
    "Add_pool_next": (added((6, 6), CONTROL[2]), 2, 1, 0),
    "MatMul_logits": (DENSE, 6, 2 + 1 + 4, 6 * 4),
    **dict.fromkeys(("State_x_re_0", "State_x_im_0"), (STATE, 4, 2, 4 * 4)),
    "State_pool": (POOL, 2, 2, 2 * 6),
    # u waits for the sums over modes before D u is added: two words of 4 bits, a third more LUTs.
    "Fork_u": (added((0, 4), (6, 4), CONTROL[2]), 2, 2, 2 * 4),
    **dict.fromkeys(("Fork_x_re_0", "Fork_x_im_0", "Fork_x_re_next_0", "Fork_x_im_next_0"), (added((0, 4), CONTROL[4]), 4, 0, 0)),
    "Fork_pool_next": (added((0, 6), CONTROL[2]), 2, 0, 0),
}  # fmt: skip


def rows_of(found: dict) -> dict[str, tuple]:
    return {
        node["name"]: (tuple(node[name] for name in RESOURCES), node["cycles"], node["latency"], node["stored_bits"])
        for node in found["nodes"]
    }


def test_a_step_node_by_node():
    assert rows_of(estimate_graph(STEP, ARTY).as_dict()) == NODES


def test_a_step_in_all():
    found = estimate_graph(STEP, ARTY).as_dict()
    assert tuple(found["total"].values()) == added(*(row for row, *_ in NODES.values()))
    assert (found["interval"], found["slowest"]) == (6, "MatMul_logits")
    # A queue, a product, two sums, a rounding.
    assert found["loop_latency"] == found["cycles_per_step"] == 2 + 4 + 1 + 1 + 4
    # The queue of u, B u, a sum, the rounding; C x, two sums, thresholds, the running sum, the dense layer.
    assert found["latency"] == 12 + 2 + 4 + 1 + 4 + 5 + 1 + 1 + 8 + 1 + 7
    assert (found["cycles_per_sequence"], found["cycles_between_sequences"]) == (20 * 12 + 34, 20 * 12)
    assert found["sequences_per_second"] == 100e6 / 240
    # States and the sum; u; constants of A (twice each), B, C, D, thresholds and W.
    constants = 4 * 16 + 2 * 12 + 2 * 16 + 20 + 30 + 24
    assert found["bytes"] == {"state": (16 + 16 + 12) / 8, "buffers": 8 / 8, "constants": constants / 8}
    # A x, Im B u but for a 0 (Re B u is shifts), C x, D u, W but for a 0.
    assert found["multiplications_per_step"] == 4 * 4 + 3 + 2 * 4 + 2 + 5


def test_a_step_all_at_once():
    """Memories are as parallel as the nodes: one word of all channels."""
    graph = DataflowGraph(STEP)
    folded = Folded(graph, tuple(Folding(operation.dims) for operation in graph.operations))
    costs = {o.name: (c.lut, c.ff, c.dsp, c.bram) for o, c in zip(folded.operations, folded.costs(ARTY.family), strict=True)}
    assert costs["Mul_rr"] == added(times(4, (0, 8, 1)), (16, 16), CONTROL[1])
    # Two heads of two products and an adder.
    assert costs["MatMul_cx_re"] == added(times(4, (0, 8, 1)), times(2, (9, 9)), (16, 16), CONTROL[1])
    assert costs["State_x_re_0"] == added((22, 16), CONTROL[1])
    assert costs["Fork_u"] == added((0, 8), (11, 8), CONTROL[1])
    assert costs["Fork_x_re_0"] == added((0, 16), CONTROL[1])
    assert (folded.timing.interval, folded.timing.loop) == (1, 12)


def test_a_rate_is_kept_in_the_graph():
    """The read-out's six cycles and the loop's fourteen: 20 steps at 14; the graph says the same again."""
    rate = 100e6 / 240
    chosen = estimate_graph(STEP, ARTY, fps=rate)
    kept = folded_graph(STEP, chosen)
    assert estimate_graph(kept, ARTY).as_dict() == chosen.as_dict()
    wide = fold(STEP, DataflowGraph(STEP).operations, [Folding(o.dims) for o in DataflowGraph(STEP).operations])
    found = estimate_graph(folded_graph(STEP, estimate_graph(wide, ARTY)), ARTY)
    assert {node["name"]: node["lanes"] for node in found.as_dict()["nodes"]}["MatMul_logits"] == 6


def widths(operation: Operation) -> list[tuple]:
    return [(part.kind, part.left, part.right, part.out) for part in operation.parts]


def test_widths_of_every_part():
    """Of its operands and of what it makes, in bits as annotated; a constant has the narrowest type that holds it."""
    graph = DataflowGraph(STEP)
    found = {operation.output: widths(operation) for operation in graph.operations}
    assert found["rr"] == [("multiply", 4, 4, 8)] and found["du"] == [("multiply", 4, 10, 14)]
    assert found["bu_re"] == [("shift", 4, 3, 7)] and found["bu_im"] == [("multiply", 4, 3, 7)]
    assert found["sum_re"] == [("add", 9, 7, 10)] and found["pool_next"] == [("add", 6, 2, 6)]
    assert found["x_re_next_0"] == [("round", 10, 4, 4)] and found["v"] == [("compare", 14, 10, 2)]
    assert found["cx_re"] == [("dot", 4, 4, 9)] and found["logits"] == [("dot", 6, 4, 10)]
    assert {tuple(widths(memory)) for memory in graph.memories if memory.output == "x_re_0"} == {
        (("state", 4, 4, 4),), (("fork", 4, 4, 4),)
    }  # fmt: skip
    sequence = DataflowGraph(SCAN)
    assert widths(sequence.producers["pool_next"]) == [("add", 2, 6, 6)]
    # Products with 4 bits of A, 3 of B, 4 of C and 10 of D; three terms of at most 8 bits.
    assert widths(sequence.producers["y"]) == [
        *[("multiply", 4, 4, 8)] * 4, ("shift", 4, 3, 7), ("multiply", 4, 3, 7), *[("add", 10, 10, 10)] * 4,
        *[("round", 10, 4, 4)] * 2, *[("state", 4, 4, 4)] * 2, *[("dot", 4, 4, 14)] * 2, ("multiply", 4, 10, 14),
        *[("add", 14, 14, 14)] * 2,
    ]  # fmt: skip


@pytest.mark.parametrize("model", [STEP, SCAN])
def test_a_running_sum_becomes_what_its_type_holds(model):
    """6 bits and up to 3 a step would pass 6 bits; how many steps there are is not for a sum to know."""
    low, high = DataflowGraph(model).producers["pool_next"].limits
    assert (low.tolist(), high.tolist()) == ([0, 0], [63, 63])


def scan_cost(every: int, heads: int, dots: tuple, cycles: int) -> tuple:
    """``every`` modes and ``heads`` heads at once; ``dots``: rows of the read-out of one part."""
    kept = times(every, (4, 4))
    return added(
        times(4 * every, (0, 8, 1)), kept, kept,  # A x, in four products, of two factors
        times(every, (2 * 7, 7)), times(every, (3, 3)),  # Re B u: three shifts
        times(every, (0, 7, 1)), times(every, (3, 3)),  # Im B u
        times(4 * every, (10, 10)),  # three terms of at most 8 bits each
        times(2 * every, (16, 6)),  # to 4 bits
        *dots, *dots,
        times(heads, (0, 14, 1)), times(heads, (10, 10)),  # D u
        times(2 * heads, (14, 14)),
        CONTROL[cycles],
    )  # fmt: skip


# States of 4 words of 4 bits (a third more LUTs), sums over two modes of 14 bits, an accumulator or an adder. Two modes at once
# are a group, a level of the tree, and a cycle in which their products are held.
@pytest.mark.parametrize(
    ("lanes", "expected", "delay"),
    [
        ((1, 1), added(scan_cost(1, 1, ((0, 8, 1), (14, 14), (4, 4)), 4), (6, 4), (6, 4)), 2),
        ((1, 2), added(scan_cost(2, 1, ((0, 16, 2), (14, 14), (8, 8)), 2), (11, 8), (11, 8)), 1 + 2),
        ((2, 1), added(scan_cost(2, 2, ((0, 16, 2), (28, 28), (8, 8)), 2), (11, 8), (11, 8)), 2),
        ((2, 2), added(scan_cost(4, 2, ((0, 32, 4), (28, 28), (16, 16)), 1), (22, 16), (22, 16)), 1 + 2),
    ],
)
def test_a_scan(lanes, expected, delay):
    scan = DataflowGraph(SCAN).producers["y"]
    cost = resources(scan, Folding(lanes), ARTY.family)
    assert (cost.lut, cost.ff, cost.dsp, cost.bram) == expected
    assert latency(scan, Folding(lanes)) == 16 + delay
    # A and B, two states, C, D; A x in four products a mode, Im B u, C x, D u.
    assert scan.stored_bits == 2 * 16 + 2 * 12 + 2 * 16 + 2 * 16 + 20
    assert scan.multiplications == 4 * 4 + 4 + 2 * 4 + 2


def test_a_scan_that_rounds_each_mode_by_another_shift():
    """By 3, 4, 3 and 5: three choices on each of 10 bits, for both parts; four words of 3 bits."""
    rounding = np.concatenate([LEVELS[None] * 2**k - 2 ** (k - 1) + LEVELS % 2 for k in (3, 4, 3, 5)])
    step = admit(with_ports(dataflow(lambda g: layer(g, rounding), **TYPES).model(), heads=2), "dataflow")
    model = collapse(step)
    scan, same = (DataflowGraph(m).producers["y"] for m in (model, SCAN))
    found, usual = (resources(o, Folding((1, 2)), ARTY.family) for o in (scan, same))
    # Two lanes.
    more = added(times(2 * 2, (2 * 10, 10)), times(2, (3, 3)))
    assert (found.lut, found.ff, found.dsp, found.bram) == added((usual.lut, usual.ff, usual.dsp, usual.bram), more)
    assert scan.stored_bits == same.stored_bits + 4 * 3
    # The step has both shifts as well, each with a memory of its own.
    rounded = DataflowGraph(step).producers["x_re_next_0"]
    assert widths(rounded) == [("round", 10, 4, 4), ("shift", 10, 3, 10)] and rounded.stored_bits == 4 * 3


def test_a_sequence_in_all():
    """What its RTL takes is no sum of these parts (test_calibration.py)."""
    found = estimate_graph(SCAN, ARTY).as_dict()
    assert {name: row[1:] for name, row in rows_of(found).items()} == {
        "DiagonalScan_y": (10, 16 + 2, 140),
        "MultiThreshold_v": NODES["MultiThreshold_v"][1:],
        "ReduceSum_pool_next": NODES["Add_pool_next"][1:],
        "MatMul_logits": NODES["MatMul_logits"][1:],
    }
    # The scan's four modes wait for their states; the dense layer has its six cycles at the end of a sequence.
    assert (found["interval"], found["loop_latency"], found["cycles_per_step"], found["slowest"]) == (
        10,
        10,
        10,
        "DiagonalScan_y",
    )
    # A register holds the second channel of u, which the scan takes two cycles behind the first, and lets it go 18 later; then
    # the thresholds, the sum, three passes over two sums (replayed 2, one a cycle), 4 for the products, a register.
    assert found["latency"] == 1 + 2 + 18 + 8 + 1 + 2 + 4 + 4 + 1 + 1
    assert (found["cycles_per_sequence"], found["cycles_between_sequences"]) == (19 * 10 + 42, 20 * 10)
    assert found["bytes"] == {"state": (32 + 12) / 8, "buffers": 0, "constants": (140 - 32 + 30 + 24) / 8}
    assert found["multiplications_per_step"] == 30 + 5


def test_a_state_in_an_ecp5():
    """Two words of 6 bits: half more LUTs, not a third."""
    found = rows_of(estimate_graph(STEP, find_part("lfe5u-25f")).as_dict())
    assert found["State_pool"] == (added((9, 6), CONTROL[2]), 2, 2, 12)


def wide(g) -> None:
    """A residual around a dense layer of 300 channels, and their running sum."""
    g.input("u", 300)
    g.input("pool", 300)
    g.node("MatMul", ["u", g.constant("w", np.ones((300, 300)))], "m", 300)
    g.node("Add", ["m", "u"], "r", 300)
    g.node("Add", ["pool", "r"], "pool_next", 300)
    g.node("Mul", ["pool_next", g.constant("k", 3)], "logits", 300)
    g.output("logits", 300)
    g.output("pool_next", 300)


def test_large_states_and_buffers_are_in_blocks():
    """300 words of 8 bits and of 24 are past an eighth of a block: 2048 x 9 or 512 x 36; counters of 9 bits."""
    model = with_ports(
        dataflow(wide, u="UINT8", m="UINT17", r="UINT17", pool="UINT24", pool_next="UINT24", logits="UINT26").model()
    )
    found = rows_of(estimate_graph(model, ARTY).as_dict())
    counter = 9 + 2 + 2, 9 + 2
    assert found["State_pool"] == (added((0, 24, 0, 1), counter), 300, 2, 300 * 24)
    assert found["Fork_u"] == (added((0, 8), (0, 8, 0, 1), counter), 300, 2, 300 * 8)
    # 90,000 weights of one bit: 16384 x 1 six times. Inputs of 8 bits, kept.
    dense = added((0, 9, 1), (17, 17), (0, 1, 0, 6), (0, 8, 0, 1), (17 + 3 + 2, 17 + 2))
    assert found["MatMul_m"] == (dense, 90_000, 2 + 299 + 4, 90_000)
