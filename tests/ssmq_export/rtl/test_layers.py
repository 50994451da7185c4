"""The layers that are alike in a graph, and what they are as one."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from conftest import small_config, small_model
from ssmq_export.dataflow.folding import Folding
from ssmq_export.dataflow.graph import DataflowGraph
from ssmq_export.dataflow.hardware import SCAN_LOOP
from ssmq_export.dataflow.operation import COUNTS, Operation
from ssmq_export.errors import ExportError
from ssmq_export.from_network import step_graph
from ssmq_export.lowering import collapse, lower
from ssmq_export.rtl.build import build
from ssmq_export.rtl.layers import Layers, blocks_to_matrix, fused, layers_of, matrix_to_blocks, stacked
from ssmq_export.rtl.names import Names
from ssmq_export.rtl.schedule import interval, queued
from ssmq_export.rtl.serial import fewest_lanes

HEADS = 4


def graph_of(**changes) -> DataflowGraph:
    _, model = small_model(small_config(**changes))
    return DataflowGraph(collapse(lower(step_graph(model.network))))


@pytest.fixture(scope="module")
def graph():
    return graph_of(model={"layers": 3})


def test_a_layer_goes_from_one_cut_to_the_next(graph):
    layers = layers_of(graph)
    scans = [[one.output for one in group if one.kind == "scan"] for group in layers.repeated]
    assert scans == [["blocks.0.ssm"], ["blocks.1.ssm"], ["blocks.2.ssm"]]
    for group, given, left in zip(layers.repeated, layers.cuts, layers.cuts[1:], strict=False):
        made = {one.output for one in group}
        assert {name for one in group for name in one.inputs} - made == {given} and left in made
    # Every operation is somewhere, once, and beside them shifts by nothing.
    parts = [*layers.before, *(one for group in layers.repeated for one in group), *layers.after]
    own, added = ([one for one in parts if (one.output in graph.producers) is known] for known in (True, False))
    assert sorted(one.output for one in own) == sorted(one.output for one in graph.operations)
    assert all(one.kind == "shift" and one.constant == 1 for one in added)


def test_what_goes_round_is_as_narrow_as_can_be(graph):
    layers = layers_of(graph)
    assert {graph.producers[cut].kind for cut in layers.cuts} <= {"rounding", "thresholds"}


@pytest.mark.parametrize("changes", [{"model": {"layers": 1}}], ids=["one layer"])
def test_what_is_there_once_cannot_be_shared(changes):
    with pytest.raises(ExportError, match="use --shape dataflow"):
        layers_of(graph_of(**changes))


def test_stacked_layers_compute_what_each_of_them_does(graph):
    layers, rng = layers_of(graph), np.random.default_rng(0)
    alike = zip(*layers.repeated, strict=True)
    for operation, own in zip(stacked(layers), alike, strict=True):
        codes = [rng.integers(low, high + 1, (2, 5, len(low))) for low, high in operation.sources]
        parts = [np.split(each, len(own), axis=-1) for each in codes]
        expected = [one.evaluate(*given) for one, given in zip(own, zip(*parts, strict=True), strict=True)]
        np.testing.assert_array_equal(operation.evaluate(*codes), np.concatenate(expected, axis=-1))


def test_thresholds_beyond_what_comes_count_nothing_in_layers_of_other_ranges(graph):
    """One layer's last threshold is out of reach, as many as the other has: the largest code must not count it."""
    known = next(one for one in graph.operations if one.kind in COUNTS)
    source = np.zeros(HEADS, np.int64), np.full(HEADS, 15)

    def counts(name: str, thresholds: list[int]) -> Operation:
        rows = np.tile(thresholds, (HEADS, 1))
        return replace(known, output=name, inputs=(f"{name}.u",), sources=(source,), constant=rows, bias=0)

    low, high = counts("a.y", [2, 4, 900]), counts("b.y", [3, 15])
    (both,) = stacked(Layers([], [[low], [high]], [], ["a.y.u", "a.y", "b.y"]))
    codes = np.tile(np.arange(16)[:, None], HEADS)
    expected = np.hstack([low.evaluate(codes), high.evaluate(codes)])
    np.testing.assert_array_equal(both.evaluate(np.hstack([codes, codes])), expected)


def test_matrices_of_one_tensor_are_one_with_their_outputs_in_turn(graph):
    layers = layers_of(graph)
    both = [one for one in stacked(layers) if one.kind == "dense"]
    assert len(both) == 2 and both[0].inputs == both[1].inputs
    low, high = both[0].sources[0]
    codes = np.random.default_rng(0).integers(low, high + 1, (7, len(low)))
    together = fused(both, len(layers.repeated))
    assert together.dims == (2 * both[0].dims[0], both[0].dims[1]) == together.fixed.shape[::-1]
    found = together.evaluate(codes)
    for k, one in enumerate(both):
        np.testing.assert_array_equal(found[:, k::2], one.evaluate(codes))


def test_blocks_lie_on_the_diagonal():
    blocks = np.arange(2 * 3 * 5).reshape(2, 3, 5)
    matrix = blocks_to_matrix(blocks)
    np.testing.assert_array_equal(matrix[:3, :5], blocks[0])
    np.testing.assert_array_equal(matrix[3:, 5:], blocks[1])
    assert not matrix[:3, 5:].any() and not matrix[3:, :5].any()
    np.testing.assert_array_equal(matrix_to_blocks(matrix, 2), blocks)


def test_the_fewest_lanes_that_are_fast_enough():
    assert fewest_lanes("m", (20, 10), 40) == (1, 5)
    assert fewest_lanes("m", (20, 10), 30) == (4, 2)
    assert fewest_lanes("s", (10, 4), 40, modes=True) == (1, 1)
    assert fewest_lanes("s", (10, 4), 5, modes=True) == (2, 4)
    with pytest.raises(ExportError, match="no lanes do it in 0 cycles"):
        fewest_lanes("m", (2, 2), 0)


@pytest.mark.parametrize(("most", "of_scan", "cycles"), [(1, (1, 1), 16), (2, (1, 1), 12), (2, (1, 3), SCAN_LOOP)])
def test_a_step_takes_as_long_as_its_slowest_operation_or_the_loop_of_a_state(graph, most, of_scan, cycles):
    """16 products of a matrix, 12 modes of a scan, over their lanes; all modes of a head at once would take 4."""
    lanes = [of_scan if one.kind == "scan" else tuple(math.gcd(size, most) for size in one.dims) for one in graph.operations]
    assert interval(queued(build(graph, [Folding(each) for each in lanes], Names("network")))) == cycles
