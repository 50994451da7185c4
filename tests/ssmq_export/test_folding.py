"""Foldings by enumeration, and nonsense refused."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hand_graphs import dataflow
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper
from ssmq_export.dataflow.folding import Folding, cycles, fold, foldings_of, memory_folding
from ssmq_export.dataflow.graph import DataflowGraph
from ssmq_export.errors import ExportError
from ssmq_export.estimates import find_part
from ssmq_export.estimates.choice import fold_for_rate, sequential, shortage, widened
from ssmq_export.estimates.cost import resources
from ssmq_export.estimates.primitives import Cost
from ssmq_export.estimates.timing import latency
from test_totals_by_hand import SCAN

PART = find_part("xc7a35t")


def two_nodes(g) -> None:
    """A dense MatMul of 8 channels to 6, and a term a channel."""
    g.input("u", 8)
    g.node("MatMul", ["u", g.constant("w", np.arange(1, 49).reshape(8, 6))], "y", 6)
    g.output(g.node("Add", ["y", g.constant("t", np.arange(6)[None])], "z", 6), 6)


def model():
    graph = dataflow(two_nodes, u="UINT8", y="INT20", z="INT20")
    graph.datatypes.update({"w": "UINT6", "t": "UINT3"})
    return graph.model()


GRAPH = DataflowGraph(model())
DENSE, ADD = GRAPH.operations


@pytest.mark.parametrize("lanes", [(0, 1), (1, 0), (-1, 1), (True, 1), (1.0, 1), (1, "2"), (2.5, 1), (None, 1), ()])
def test_lanes_are_whole_numbers_from_1(lanes):
    with pytest.raises(ExportError, match=r"lanes must be whole numbers from 1, not"):
        Folding(lanes)


@pytest.mark.parametrize("lanes", [(4, 1), (1, 3), (12, 8), (6, 16), (6,), (1, 1, 1)])
@pytest.mark.parametrize("use", [cycles, latency, lambda work, folding: resources(work, folding, PART.family)])
def test_lanes_divide_what_they_share(lanes, use):
    with pytest.raises(ExportError, match=r"node MatMul_y: its lanes must be divisors of 6, 8, not"):
        use(DENSE, Folding(lanes))


def test_every_divisor_is_a_folding():
    for lanes in itertools.product((1, 2, 3, 6), (1, 2, 4, 8)):
        folding = Folding(lanes)
        assert folding.parallel * cycles(DENSE, folding) == 48
        resources(DENSE, folding, PART.family)


@given(st.lists(st.integers(1, 60), min_size=1, max_size=2))
def test_widened_takes_the_next_multiple_that_divides_inputs_first(dims):
    work, folding = replace(DENSE, dims=tuple(dims)), Folding((1,) * len(dims))
    seen = [folding.lanes]
    while (folding := widened(work, folding)) is not None:
        before, after = seen[-1], folding.lanes
        (axis,) = [k for k in range(len(dims)) if before[k] != after[k]]
        # Inputs are all parallel before the outputs begin.
        assert all(before[k] == dims[k] for k in range(axis + 1, len(dims)))
        larger = [n for n in range(before[axis] + 1, dims[axis] + 1) if dims[axis] % n == 0 and n % before[axis] == 0]
        assert after[axis] == min(larger)
        seen.append(after)
    assert seen[-1] == tuple(dims)


def test_totals_and_shortages():
    one, two = sequential(GRAPH).costs(PART.family)
    found = one + two
    assert found == Cost(one.lut + two.lut, one.ff + two.ff, one.dsp + two.dsp, one.bram + two.bram)
    assert shortage(found, PART) is None
    assert shortage(Cost(lut=PART.lut), PART) is None and shortage(Cost(lut=PART.lut + 1), PART) == "lut"
    # Of several the one that is exceeded most.
    assert shortage(Cost(lut=2 * PART.lut, dsp=3 * PART.dsp), PART) == "dsp"


def test_a_rate_is_reached_with_no_lane_too_many():
    slow = 100e6 / sequential(GRAPH).timing.of_sequence(20)[1]
    assert fold_for_rate(GRAPH, PART, 100, slow) == sequential(GRAPH)
    (dense, add) = fold_for_rate(GRAPH, PART, 100, slow * 1.01).nodes
    assert (dense.lanes, add.lanes) == ((1, 2), (1,))
    with pytest.raises(ExportError, match="is fully parallel; raise the clock"):
        fold_for_rate(GRAPH, PART, 100, 1e12)


@pytest.mark.parametrize(
    ("size", "interval", "lanes"), [(6, 6, 1), (6, 5, 2), (6, 2, 3), (6, 1, 6), (7, 6, 7), (1, 1, 1), (6, 9, 1)]
)
def test_a_memory_is_as_parallel_as_the_slowest_node_asks_for(size, interval, lanes):
    assert memory_folding(replace(ADD, dims=(size,)), interval).lanes == (lanes,)


def test_a_graph_keeps_its_folding():
    assert foldings_of(model(), GRAPH.operations) is None
    chosen = [Folding((3, 4), use_dsp=False), Folding((2,))]
    kept = fold(model(), GRAPH.operations, chosen)
    assert foldings_of(kept, GRAPH.operations) == chosen
    # Folded anew, the old one is gone; the graph that came in is as it was.
    again = fold(kept, GRAPH.operations, [Folding((1, 8)), Folding((6,))])
    assert foldings_of(again, GRAPH.operations) == [Folding((1, 8)), Folding((6,))]
    assert foldings_of(kept, GRAPH.operations) == chosen
    with pytest.raises(ExportError, match="node MatMul_y: its lanes must be divisors of 6, 8, not 4, 1"):
        fold(model(), GRAPH.operations, [Folding((4, 1)), Folding((1,))])


def test_a_kept_folding_must_fit():
    kept = fold(model(), GRAPH.operations, [Folding((3, 4)), Folding((2,))])
    next(entry for entry in kept.graph.node[0].metadata_props if entry.key == "ssmq.PE").value = "4"
    with pytest.raises(ExportError, match="node MatMul_y: its lanes must be divisors of 6, 8, not 4, 4"):
        foldings_of(kept, GRAPH.operations)


@pytest.mark.parametrize("lanes", [(1, 1), (1, 2), (2, 2)])
def test_a_scan_keeps_its_folding_in_one_number(lanes):
    """Modes first, then whole heads; the attribute that the operator has says the same, and no other changes."""
    operations = DataflowGraph(SCAN).operations
    chosen = [Folding(lanes if o.kind == "scan" else (1,) * len(o.dims)) for o in operations]
    kept = fold(SCAN, operations, chosen)
    assert foldings_of(kept, operations) == chosen
    before, after = (next(n for n in m.graph.node if n.op_type == "DiagonalScan") for m in (SCAN, kept))
    numbers = {a.name: helper.get_attribute_value(a) for a in after.attribute}
    assert numbers == {**{a.name: helper.get_attribute_value(a) for a in before.attribute}, "PE": lanes[0] * lanes[1]}
