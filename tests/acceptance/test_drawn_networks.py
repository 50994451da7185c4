"""Networks drawn at random in the real FINN and hls4ml: every node mapped, every code the one of the network itself."""

from __future__ import annotations

from functools import cache

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from networks import networks
from ssmq_brevitas.config import Bits, Scheme
from ssmq_brevitas.network.quantize import quantize
from ssmq_export import finn, hls4ml
from ssmq_export.checks import check_file
from ssmq_export.dataflow.ports import ports_of
from ssmq_export.from_network import network_spec, trace
from ssmq_export.graphs.network_graph import network_graph
from ssmq_export.hls4ml import project
from ssmq_export.lowering import collapse, lower
from ssmq_export.verification.agreement import compare

pytestmark = pytest.mark.usefixtures("forked_workers")
COUNT = 10
WIDTHS = ("a", "b", "c", "d", "x", "u", "y", "activation", "linear", "encoder", "decoder", "pool", "input")
schemes = st.fixed_dictionaries({name: st.integers(3, 8) for name in WIDTHS}).map(lambda bits: Scheme(bits=Bits(**bits)))


@cache
def sample() -> list:
    """The same networks at every call; hypothesis' first is always the least, which the others cover."""
    found = []

    @seed(17)
    @settings(max_examples=COUNT + 1, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(networks(), schemes)
    def draw(pair, scheme):
        found.append((*pair, scheme))

    draw()
    return found[1 : COUNT + 1]


def drawn(k: int):
    """The quantised network number ``k``, its step graph, and codes of three sequences with what the network gives."""
    network, batch, scheme = sample()[k]
    quantized = quantize(network, scheme, batch)
    step = network_graph(network_spec(quantized))
    given = ports_of(step).input.format
    codes = np.random.default_rng(k).integers(given.low, given.high + 1, (3, *batch.shape[1:])).astype(np.int32)
    codes[1], codes[2] = given.low, given.high
    return step, codes, trace(quantized, codes, "reference")


def slow_but(quick: set, cases: list) -> list:
    return [case if case in quick else pytest.param(case, marks=pytest.mark.slow) for case in cases]


FORMS = [(k, form) for k in range(COUNT) for form in ("step", "sequence")]


@pytest.mark.skipif(not finn.available(), reason=finn.INSTALL)
@pytest.mark.parametrize("case", slow_but({(4, "step"), (6, "sequence")}, FORMS), ids=lambda case: "{} {}".format(*case))
def test_finn_maps_every_node_and_computes_every_code(case, tmp_path):
    k, form = case
    step, codes, expected = drawn(k)
    graph = lower(step) if form == "step" else collapse(lower(step))
    onnx.save(graph, tmp_path / "graph.onnx")
    found = finn.compile_graph(tmp_path / "graph.onnx", "xc7z020clg400-1", 100.0, 10.0, tmp_path / "build")
    assert (found.unmapped, found.mapped, found.partitions) == ([], found.nodes, 1)
    assert check_file(tmp_path / "build" / "finn.onnx") == []  # no stream has two readers
    # Its operators in Python take a quarter of a second a step and layer.
    few = codes[:1] if form == "step" else codes
    wanted = {name: values[: len(few)] for name, values in expected.items()}
    agreement = compare("FINN", wanted, finn.run_hardware_ops(graph, few))
    assert (agreement.differing, agreement.first, agreement.sequences) == (0, "", len(few))
    assert agreement.codes


@pytest.mark.skipif(not project.available(), reason=f"g++ and {project.INSTALL}")
@pytest.mark.parametrize("k", slow_but({4}, [1, 4, 6]))
def test_hls4ml_computes_every_code(k):
    step, codes, expected = drawn(k)
    agreement = compare("hls4ml", expected, hls4ml.run_hls4ml(step, codes, list(expected)))
    assert (agreement.differing, agreement.first, agreement.sequences) == (0, "", len(codes))
