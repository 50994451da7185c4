"""Networks of other shapes than the classifier's in the real FINN and hls4ml: every node mapped, every code the one that
NumPy computes."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from ssmq_export import finn, hls4ml
from ssmq_export.hls4ml import project
from ssmq_export.lowering import collapse, lower
from ssmq_export.verification.agreement import compare
from step_graphs import Network
from step_networks import FUNCTIONS, NETWORKS, RESULTS, network, through

pytestmark = pytest.mark.usefixtures("forked_workers")
needs_finn = pytest.mark.skipif(not finn.available(), reason=finn.INSTALL)
needs_hls4ml = pytest.mark.skipif(not project.available(), reason=f"g++ and {project.INSTALL}")


def drawn(case: str) -> tuple[Network, onnx.ModelProto]:
    if case in FUNCTIONS:
        net = through(FUNCTIONS[case], RESULTS["an exponent a channel"])
        return net, net.step
    net = network()
    return net, NETWORKS[case](net)


def slow(*cases: str) -> list:
    return [pytest.param(case, marks=pytest.mark.slow) for case in cases]


@needs_finn
@pytest.mark.parametrize(
    "case", ["chunks", "norm", *slow("a step", "the last step", "two sums", "hard_swish", "no layer, a step")]
)
def test_finn_maps_every_node_and_computes_every_code(case, tmp_path):
    net, step = drawn(case)
    graph = lower(step)
    onnx.save(graph, tmp_path / "dataflow.onnx")
    found = finn.compile_graph(tmp_path / "dataflow.onnx", "xc7z020clg400-1", 100.0, 10.0, tmp_path / "build")
    assert found.unmapped == [] and found.mapped == found.nodes and found.partitions == 1
    told = (tmp_path / "build" / "README.md").read_text()
    assert f"`{net.result}` counts after {'every step' if net.each_step else 'the last'}" in told
    assert_agrees(net, graph, 1)


@needs_finn
@pytest.mark.parametrize(
    "case", ["the last step and a sum", *slow("the sum so far", "the last step", "a step", "two sums", "chunks")]
)
def test_the_sequence_graph_too(case, tmp_path):
    net, step = drawn(case)
    graph = collapse(lower(step))
    onnx.save(graph, tmp_path / "whole.onnx")
    found = finn.compile_graph(tmp_path / "whole.onnx", "xc7z020clg400-1", 100.0, 10.0, tmp_path / "build")
    assert found.unmapped == [] and found.mapped == found.nodes and found.partitions == 1
    assert_agrees(net, graph, len(net.codes))


def assert_agrees(net: Network, graph: onnx.ModelProto, sequences: int) -> None:
    """FINN's operators in Python take a quarter of a second a step and layer; the first two sequences are constant."""
    some = slice(-sequences, None)
    expected = {name: values[some] for name, values in net.expected.items()}
    found = finn.run_hardware_ops(graph, net.codes[some])
    agreement = compare("FINN", expected, found)
    assert (agreement.differing, agreement.first, agreement.sequences) == (0, "", sequences)
    assert found[net.result].shape == expected[net.result].shape


@needs_hls4ml
@pytest.mark.parametrize("case", ["chunks", "norm", *slow("a step", "two sums", "tanh_of_norm", "hard_swish", "with_itself")])
def test_hls4ml_computes_every_code(case):
    net, step = drawn(case)
    found = hls4ml.run_hls4ml(step, net.codes, list(net.expected))
    agreement = compare("hls4ml", net.expected, found)
    assert (agreement.differing, agreement.first) == (0, "")
    assert np.array_equal(found[net.result], net.expected[net.result])
