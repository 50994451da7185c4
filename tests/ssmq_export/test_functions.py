"""Functions of one tensor between a sum and its quantiser, as modules of other people's networks need them: thresholds or
tables of them give every code that NumPy computes, on every engine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from ssmq_export.checks import check_model
from ssmq_export.errors import ExportError
from ssmq_export.functions.runtime import session
from ssmq_export.lowering import lower
from step_graphs import Network, drawn_codes, fmt
from step_networks import FUNCTIONS, RESULTS, encoded, norm, through
from test_step_networks import agree


@pytest.mark.parametrize("double", [False, True], ids=["single", "double"])
@pytest.mark.parametrize("result", RESULTS)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_engine_gives_every_code(function, result, double):
    net = through(FUNCTIONS[function], RESULTS[result], double)
    agree(net, net.step)
    assert all(len(np.unique(channel)) > 2 for k, channel in enumerate(net.values["result"].T) if k != 2)
    assert [finding for finding in check_model(lower(net.step)) if finding.severity == "error"] == []


@pytest.mark.parametrize("steps", [12, 7])
@pytest.mark.parametrize("how", ["Mul", "Div"])
def test_a_mean_over_any_number_of_steps(how, steps):
    format = fmt(12, -9)
    net = Network(drawn_codes(format, 3, length=steps), format)
    total = net.sum(encoded(net), "pool")
    mean = net.function(how, total, "mean", 1 / steps if how == "Mul" else steps)
    step = net.model(net.linear(net.quant(mean, fmt(8, -5), "pooled"), 2, "out"))
    agree(net, step)


def test_a_sum_of_many_bits_may_fall_but_not_turn():
    """Thresholds of a function that falls are found by halving; a table of 2**30 entries is none."""
    format = fmt(16, -15)

    def wide(net: Network) -> str:
        return net.matmul("u", net.parameter((3, 4), 16, -15), "wide")

    net = Network(drawn_codes(format, 3), format, double=True)
    net.quant(norm(net, wide(net)), fmt(8, -7), "result")
    agree(net, net.model(net.linear("result", 2, "out"), True))
    net = Network(drawn_codes(format, 3), format, double=True)
    x = wide(net)
    gate = net.function("Clip", x, "gate", 0.0, 1.0)
    net.quant(net.add(x, gate, "swish", "Mul"), fmt(8, -7), "result")
    with pytest.raises(ExportError, match="result: the function .* is not monotone .*: quantise its input first"):
        lower(net.model("result", True))


@pytest.mark.parametrize("double", [False, True], ids=["single", "double"])
def test_a_function_of_the_quantised_input(double):
    """A quantiser that changes nothing goes; the double precision of the function behind it stays."""
    format = fmt(12, -9)
    net = Network(drawn_codes(format, 3), format, double)
    x = net.quant("u", format, "input")
    del net.g.formats["input"]  # what is not there any more is not compared
    net.quant(net.in_double("Tanh", x, "tanh"), fmt(11, -10), "result")
    agree(net, net.model(net.linear("result", 2, "out"), True))


def test_a_session_computes_on_the_thread_that_calls():
    """Many are kept; threads of their own would spin between two runs of any of them."""
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [4096])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Erf", ["x"], ["y"])], "g", [value], [onnx.ValueInfoProto(name="y")])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9).SerializeToString()
    before = len(list(Path("/proc/self/task").iterdir()))
    kept = [session(model) for _ in range(8)]
    for one in kept:
        one.run(None, {"x": np.zeros(4096, np.float32)})
    assert len(list(Path("/proc/self/task").iterdir())) == before
