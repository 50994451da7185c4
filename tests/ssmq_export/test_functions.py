"""Functions of one tensor between a sum and its quantiser, as modules of other people's networks need them: thresholds or
tables of them give every code that NumPy computes, on every engine."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hand_graphs import fmt
from ssmq_export.check import check_model
from ssmq_export.errors import ExportError
from ssmq_export.lower import lower
from step_graphs import Network, drawn_codes
from test_networks import agree, encoded

# Gains of both signs and 0, of 24 bits each.
GAINS, OFFSETS = [[0.7, -1.3, 0.0, -0.1]], [[0.1, -0.2, 0.3, 0.05]]


def norm(net: Network, x: str) -> str:
    return net.function("Add", net.function("Mul", x, f"{x}_scaled", GAINS), f"{x}_norm", OFFSETS)


def norm_and_relu(net: Network, x: str) -> str:
    return net.function("Clip", norm(net, x), "relu", 0.0, 6.0)


def tanh(net: Network, x: str) -> str:
    return net.in_double("Tanh", x, "tanh")


def tanh_of_norm(net: Network, x: str) -> str:
    return net.in_double("Tanh", norm(net, x), "tanh")


def from_a_constant(net: Network, x: str) -> str:
    return net.function("Sub", x, "from_one", 1.0, first=True)


def negated(net: Network, x: str) -> str:
    return net.function("Neg", x, "negated")


def divided(net: Network, x: str) -> str:
    return net.function("Div", x, "divided", [[3.0, -0.7, 1.0, -2.0]])


def hard_swish(net: Network, x: str) -> str:
    x = net.quant(x, fmt(9, -6), "x_q")
    line = net.function("Add", net.function("Mul", x, "sixth", 1 / 6), "line", 0.5)
    return net.add(x, net.function("Clip", line, "gate", 0.0, 1.0), "swish", "Mul")


def silu(net: Network, x: str) -> str:
    x = net.quant(x, fmt(8, -5), "x_q")
    return net.add(x, net.in_double("Sigmoid", x, "gate"), "silu", "Mul")


def with_itself(net: Network, x: str) -> str:
    x = net.quant(x, fmt(8, -5), "x_q")
    return net.add(x, net.in_double("Tanh", x, "tanh"), "moved")


FUNCTIONS = {f.__name__: f for f in (norm, norm_and_relu, tanh, tanh_of_norm, from_a_constant, negated, divided, hard_swish, silu, with_itself)}
RESULTS = {"signed": fmt(6, -3), "unsigned": fmt(5, -3, False), "an exponent a channel": fmt(6, [-3, -4, -2, -3])}


def sequence(function: Callable[[Network, str], str], result=RESULTS["signed"], double: bool = False) -> Network:
    """A layer, ``function`` of its sum, its quantiser and a linear layer a step."""
    format = fmt(12, -9)
    net = Network(drawn_codes(format, 3), format, double)
    y = net.s4d(encoded(net), "layer", 2)
    net.quant(function(net, y), result, "result")
    net.step = net.model(net.linear("result", 2, "out"), True)
    return net


@pytest.mark.parametrize("double", [False, True], ids=["single", "double"])
@pytest.mark.parametrize("result", RESULTS)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_engine_gives_every_code(function, result, double):
    net = sequence(FUNCTIONS[function], RESULTS[result], double)
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
