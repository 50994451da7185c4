"""What a user would miss in an estimate: sums that add up, parallelism that pays, nothing that counts as zero."""

from __future__ import annotations

from dataclasses import replace

import onnx
import pytest
from conftest import small_config, small_model
from hypothesis import given
from hypothesis import strategies as st
from ssmq_export.dataflow.folding import Folding, cycles
from ssmq_export.dataflow.graph import DataflowGraph
from ssmq_export.errors import ExportError
from ssmq_export.estimates import PARTS, RESOURCES, estimate, estimate_graph, find_part
from ssmq_export.estimates import primitives as p
from ssmq_export.estimates.choice import Folded, sequential, widened
from ssmq_export.estimates.cost import resources
from ssmq_export.from_network import step_graph
from ssmq_export.lowering import lower

ARTY, ZCU104, ECP5 = (find_part(name) for name in ("xc7a35t", "zu7ev", "lfe5u-25f"))
widths = st.integers(1, 40)
families = st.sampled_from([part.family for part in (ARTY, ZCU104, ECP5)])


def dataflow(**changes) -> tuple[onnx.ModelProto, object]:
    quantized = small_model(small_config(**changes))[1]
    return lower(step_graph(quantized.network)), quantized


@pytest.fixture(scope="module")
def graph() -> onnx.ModelProto:
    return dataflow(model={"heads": 4, "modes": 8, "norm": "batch", "activation": "hard_gelu"})[0]


@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
def test_no_node_counts_as_zero_and_totals_are_sums(graph, part):
    found = estimate_graph(graph, part).as_dict()
    for node in found["nodes"]:
        assert node["cycles"] > 0 and node["lut"] > 0 and node["ff"] > 0, node
    assert found["total"] == {name: sum(node[name] for node in found["nodes"]) for name in RESOURCES}
    assert {node["name"] for node in found["nodes"]} >= {node.name for node in graph.graph.node}
    assert found["cycles_per_step"] == max(*(node["cycles"] for node in found["nodes"]), found["loop_latency"])
    assert found["cycles_between_sequences"] == 20 * found["cycles_per_step"]


@pytest.mark.parametrize("part", [ARTY, ZCU104, ECP5], ids=lambda part: part.name)
@pytest.mark.parametrize("use_dsp", [True, False])
def test_doubling_the_lanes_halves_the_cycles_and_saves_no_lut(graph, part, use_dsp):
    folded, doubled = sequential(DataflowGraph(graph)), 0
    for work, folding in zip(folded.operations, folded.foldings, strict=True):
        folding = replace(folding, lanes=(1,) * len(work.dims), use_dsp=use_dsp)
        while (wider := widened(work, folding)) is not None:
            assert cycles(work, folding) * folding.parallel == cycles(work, wider) * wider.parallel == work.items
            doubled += wider.parallel == 2 * folding.parallel
            before, after = (resources(work, fold, part.family) for fold in (folding, wider))
            assert after.dsp >= before.dsp
            # A memory cut into shallow pieces moves from blocks into LUTs; a narrower counter saves a few.
            assert after.lut + 4 >= before.lut, work.name
            folding = wider
        assert cycles(work, folding) == 1
    assert doubled > 100


@pytest.mark.parametrize("changes", [{}, {"bits": {"x": 5}}, {"model": {"layers": 1, "heads": 3, "modes": 5}}])
def test_state_memories_hold_the_footprint_s_state(changes):
    model, quantized = dataflow(**changes)
    found = estimate_graph(model, ARTY).as_dict()
    states = [node for node in found["nodes"] if node["op"] == "State"]
    assert len(states) == 2 * quantized.shape.layers + 1
    assert sum(node["stored_bits"] for node in states) == 8 * quantized.footprint().state
    assert found["bytes"]["state"] == quantized.footprint().state


@given(widths, widths, st.integers(0, 8), families)
def test_wider_operands_never_cost_less(left, right, more, family):
    for use_dsp in (True, False):
        narrow = p.multiplier(left, right, family, use_dsp)
        for operands in ((left + more, right), (left, right + more)):
            wide = p.multiplier(*operands, family, use_dsp)
            assert wide.dsp >= narrow.dsp and (wide.lut >= narrow.lut or wide.dsp > narrow.dsp)
    assert p.adder(left + more).lut >= p.adder(left).lut
    assert p.comparator(left + more).lut >= p.comparator(left).lut
    assert p.rounder(left + more, right).lut >= p.rounder(left, right).lut


@given(st.integers(1, 20000), widths, st.integers(0, 30), st.booleans(), families)
def test_larger_memories_never_cost_less(words, width, more, written, family):
    small = p.memory(words, width, family, written)
    for large in (p.memory(words + more, width, family, written), p.memory(words, width + more, family, written)):
        assert large.bram >= small.bram and (large.lut >= small.lut or large.bram > small.bram)


def test_a_wider_scheme_never_costs_less():
    """In LUTs alone, where nothing can hide in a block that is there anyway."""
    counts = []
    for bits in (4, 6, 8):
        config = {name: bits for name in ("a", "b", "c", "d", "x", "u", "linear", "activation", "encoder", "decoder")}
        operations = DataflowGraph(dataflow(bits=config)[0]).operations
        counts.append(sum(resources(o, Folding((1,) * len(o.dims), False), ARTY.family).lut for o in operations))
    assert counts == sorted(counts)


def test_a_residual_is_kept_until_its_sums_are_there(graph):
    forks = {memory.output: memory.parts[0].stored for memory in DataflowGraph(graph).memories if memory.kind == "fork"}
    assert forks["encoder_quant"] == 4 and forks["blocks.0.add_quant"] == 4
    assert forks["blocks.0.ssm.x_re"] == forks["blocks.0.activation_quant"] == 0


def test_the_loop_through_a_state_bounds_the_step(graph):
    read = DataflowGraph(graph)
    now = Folded(read, tuple(Folding(operation.dims) for operation in read.operations)).timing
    assert now.interval == 1
    # A queue 2, Mul with factors from a memory 4, Sub 1, Add 1, rounding 3 and a register.
    assert now.per_step == now.loop == 2 + 4 + 1 + 1 + 3 + 1
    assert sequential(read).timing.per_step == 32


def test_without_a_wish_each_node_does_one_operation_a_cycle(graph):
    assert {node["lanes"] for node in estimate(graph).as_dict()["nodes"]} == {1}


def test_folding_for_a_rate_reaches_it_and_takes_no_more_than_it_needs(graph):
    part = find_part("xc7z020clg400-1")
    slow = estimate_graph(graph, part, clock_mhz=100)
    wanted = 1.4 * slow.sequences_per_second
    fast = estimate_graph(graph, part, fps=wanted, clock_mhz=100)
    assert fast.sequences_per_second >= wanted
    assert estimate_graph(graph, part, fps=slow.sequences_per_second, clock_mhz=100).folded.nodes == slow.folded.nodes
    for work, folding in zip(fast.folded.operations, fast.folded.foldings, strict=True):
        assert all(size % lanes == 0 for size, lanes in zip(work.dims, folding.lanes, strict=True))
    most = estimate_graph(graph, part, fastest=True)
    assert most.sequences_per_second >= fast.sequences_per_second
    assert all(most.as_dict()["total"][name] <= getattr(part, name) for name in RESOURCES)


def test_what_is_impossible_names_what_limits(graph):
    with pytest.raises(ExportError, match="a state is back only after 12 cycles, .* raise the clock"):
        estimate_graph(graph, ZCU104, fps=1e6, clock_mhz=100)
    tiny = replace(ARTY, lut=1500)
    with pytest.raises(ExportError, match=r"xc7a35t has 1,500 LUT and [\d,]+ are needed, most of them by \w+; take"):
        estimate_graph(graph, tiny, fps=1)
    # Out of multipliers is no reason to stop: products move into LUTs.
    few = estimate_graph(graph, replace(ARTY, dsp=3), fps=1).as_dict()
    assert few["total"]["dsp"] <= 3


def test_parts_are_known_by_their_full_and_their_short_names():
    assert find_part("xc7z020clg400-1") is find_part("XC7Z020") is find_part("7z020")
    assert find_part("xczu3eg-sbva484-1-e") is find_part("zu3eg")
    assert find_part("LFE5U-85F-6BG381C").name == "lfe5u-85f"
    with pytest.raises(ExportError, match="unknown part 'xc7z021': did you mean xc7z0.*known parts: xc7z010, "):
        find_part("xc7z021")


def test_only_an_integer_graph_has_an_estimate():
    _, quantized = small_model(small_config())
    with pytest.raises(ExportError, match="has no integer datatype; estimate the dataflow.onnx"):
        estimate_graph(step_graph(quantized.network), ARTY)
