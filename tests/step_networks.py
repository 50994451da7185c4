"""Networks of other shapes than the classifier's, as step graphs with the values of their tensors."""

from __future__ import annotations

from collections.abc import Callable

import onnx
from step_graphs import Network, drawn_codes, fmt

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


FUNCTIONS = {
    f.__name__: f
    for f in (norm, norm_and_relu, tanh, tanh_of_norm, from_a_constant, negated, divided, hard_swish, silu, with_itself)
}
RESULTS = {"signed": fmt(6, -3), "unsigned": fmt(5, -3, False), "an exponent a channel": fmt(6, [-3, -4, -2, -3])}


def through(function: Callable[[Network, str], str], result=RESULTS["signed"], double: bool = False) -> Network:
    """A layer, ``function`` of its sum, its quantiser and a linear layer a step."""
    format = fmt(12, -9)
    net = Network(drawn_codes(format, 3), format, double)
    y = net.s4d(encoded(net), "layer", 2)
    net.quant(function(net, y), result, "result")
    net.step = net.model(net.linear("result", 2, "out"), True)
    return net
