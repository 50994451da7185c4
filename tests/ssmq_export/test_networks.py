"""Networks of any shape: every engine gives every code that NumPy computes without looking at a graph."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from hand_graphs import fmt
from ssmq_export.check import check_model
from ssmq_export.dataflow.ports import ports_of
from ssmq_export.door.graph_file import load_graph
from ssmq_export.errors import ExportError
from ssmq_export.export import FILES
from ssmq_export.graphs.sequence_graph import sequence_graph
from ssmq_export.integer import IntegerModel
from ssmq_export.lower import collapse, lower
from ssmq_export.verify.agreement import compare, graph_engines
from ssmq_export.verify.engines import run_sequence, run_steps, run_whole
from ssmq_export.verify.proof import prove
from step_graphs import Network, drawn_codes

SIGNED = fmt(12, -9)
STATES = fmt(7, [-5, -4, -5, -6])


def network(format=SIGNED, channels: int = 3, **settings) -> Network:
    return Network(drawn_codes(format, channels), format, **settings)


def encoded(net: Network, width: int = 4, name: str = "encoded") -> str:
    return net.quant(net.linear("u", width, f"{name}_exact"), fmt(8, -5), name)


def layer(net: Network, source: str, name: str, modes: int = 2, state=None) -> str:
    return net.quant(net.s4d(source, name, modes, state), fmt(8, -4), f"{name}.out")


def branches(net: Network) -> str:
    """Two layers of different modes in parallel, their outputs on different grids."""
    u = encoded(net)
    left, right = layer(net, u, "left"), net.quant(net.s4d(u, "right", 3), fmt(6, -2), "right.out")
    return net.quant(net.add(left, right, "joined"), fmt(8, -3), "joined_q")


def detector(each_step: bool) -> Callable[[Network], onnx.ModelProto]:
    return lambda net: net.model(net.linear(branches(net), 2, "result"), each_step)


def two_sums(net: Network) -> onnx.ModelProto:
    """Sums over time of two layers of different heads, joined behind them."""
    left, right = layer(net, encoded(net), "left"), layer(net, encoded(net, 2, "narrow"), "right", 3)
    means = [net.quant(net.sum(x, f"{x}.sum"), fmt(8, -2), f"{x}.mean") for x in (left, right)]
    return net.model(net.linear(net.joined(*means, "both"), 3, "result"))


def last_and_sum(net: Network) -> onnx.ModelProto:
    """The last step of a layer plus the sum over time of another."""
    u = encoded(net)
    total = net.quant(net.sum(layer(net, u, "left"), "pool"), fmt(8, -1), "pooled")
    return net.model(net.linear(net.quant(net.add(total, layer(net, u, "right"), "met"), fmt(8, -1), "met_q"), 2, "result"))


def sum_so_far(net: Network) -> onnx.ModelProto:
    return net.model(net.linear(net.quant(net.sum(branches(net), "pool"), fmt(8, -1), "pooled"), 2, "result"), True)


def layer_behind_a_sum(net: Network) -> onnx.ModelProto:
    pooled = net.quant(net.sum(encoded(net), "pool"), fmt(8, -2), "pooled")
    return net.model(net.linear(layer(net, pooled, "late"), 2, "result"), True)


def chunks(net: Network) -> onnx.ModelProto:
    """The halves of a tensor go different ways, change places and meet again."""
    u = encoded(net, 4)
    low, high = net.select(u, [0, 1], "low"), net.select(u, [2, 3], "high")
    one, other = layer(net, low, "one", 2, STATES), net.quant(net.linear(high, 3, "other_exact"), fmt(6, -2), "other")
    return net.model(net.linear(net.quant(net.joined(other, one, "cat"), fmt(7, -3), "cat_q"), 2, "result"), True)


def untouched_input(net: Network) -> onnx.ModelProto:
    """A layer on the input itself, and no parameter behind it: what leaves is quantised last."""
    return net.model(net.quant(net.s4d("u", "only", 2), fmt(8, -3), "result"))


def no_layer(each_step: bool) -> Callable[[Network], onnx.ModelProto]:
    return lambda net: net.model(net.linear(encoded(net), 2, "result"), each_step)


def read_by_its_sum(net: Network) -> onnx.ModelProto:
    """The output after the last step is what a sum that comes to nothing adds up in every step."""
    result = layer(net, encoded(net), "left")
    net.sum(result, "pool")
    return net.model(result)


NETWORKS = {
    "a step": detector(True),
    "the last step": detector(False),
    "two sums": two_sums,
    "the last step and a sum": last_and_sum,
    "the sum so far": sum_so_far,
    "a layer behind a sum": layer_behind_a_sum,
    "chunks": chunks,
    "untouched input": untouched_input,
    "no layer, a step": no_layer(True),
    "no layer": no_layer(False),
    "an output that is summed too": read_by_its_sum,
}
FORMATS = {
    "2 bits": fmt(2, 0),
    "unsigned, 2 bits": fmt(2, 1, False),
    "8 bits": fmt(8, -4),
    "unsigned, 9 bits": fmt(9, -3, False),
    "16 bits": fmt(16, -13),
    "unsigned, 16 bits": fmt(16, -14, False),
    "an exponent a channel": fmt(10, [-7, -6, -8]),
}


def agree(net: Network, step: onnx.ModelProto) -> None:
    """Every engine, traced, whole and step by step."""
    expected, codes, output = net.expected, net.codes, net.result
    tensors = [name for name, values in expected.items() if values.ndim == 3]
    dataflow = lower(step)
    for engine in graph_engines(step, dataflow, collapse(dataflow)):
        found = engine.run(codes, tensors)
        agreement = compare(engine.name, expected, found)
        assert (agreement.differing, agreement.first) == (0, ""), engine.name
        assert found[output].shape == expected[output].shape, engine.name
    bare = run_sequence(sequence_graph(step), codes)
    assert bare.keys() == {output} and np.array_equal(bare[output], expected[output])
    for integers in (IntegerModel(dataflow), IntegerModel(dataflow, fused=False)):
        whole = integers.values(output, integers.forward(codes))
        stream = np.stack([integers.step(codes[:, t]) for t in range(codes.shape[1])], axis=1)
        assert np.array_equal(whole, expected[output])
        assert np.array_equal(integers.values(output, stream), net.values[output])


@pytest.mark.parametrize("double", [False, True], ids=["single", "double"])
@pytest.mark.parametrize("case", NETWORKS)
def test_every_engine_gives_every_code(case, double):
    net = network(double=double)
    step = NETWORKS[case](net)
    agree(net, step)
    assert len(np.unique(net.values[net.result])) > 5, "an output that never moves would agree too"


@pytest.mark.parametrize("case", FORMATS)
def test_the_input_has_any_format(case):
    net = network(FORMATS[case])
    agree(net, detector(True)(net))


@pytest.mark.parametrize("case", NETWORKS)
def test_graphs_are_valid_legal_and_read_back(case, tmp_path):
    net = network()
    step = NETWORKS[case](net)
    dataflow = lower(step)
    models = step, sequence_graph(step, tuple(net.values.keys() - {"u"})[:3]), dataflow, collapse(dataflow)
    for (form, file), model in zip(FILES.items(), models, strict=True):
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, tmp_path / file)
        if form != "sequence":
            assert ports_of(load_graph(tmp_path / file, form)).output.each_step == (True if net.each_step else None)
        if "dataflow" in form:
            assert [finding for finding in check_model(model) if finding.severity == "error"] == []
    assert all(proof.agreement.differing == 0 for proof in prove(step, net.codes))
