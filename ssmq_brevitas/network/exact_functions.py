"""What is no function of exact arithmetic, as modules that every engine repeats to the last place.

1. A sigmoid, a GELU and their like, as module, function or method, become a table; in float64 sigmoid and tanh need none.
2. A quotient by a number that is no power of two, and a mean over as many steps, is one division.
3. The value of a QuantTensor is the tensor itself.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable

import torch
from torch import fx, nn
from torch.nn import functional as F

from ..activations import Quotient, Sigmoid, Table, Tanh
from .needs import power_of_two
from .spread import free_path, instead, is_number, owner, put

INEXACT = (nn.Sigmoid, nn.Tanh, nn.GELU, nn.SiLU, nn.Hardsigmoid, nn.Hardswish)
_FUNCTIONS = {
    getattr(home, name): name
    for name in ("sigmoid", "tanh", "gelu", "silu", "hardsigmoid", "hardswish")
    for home in (torch, F)
    if hasattr(home, name)
}
_QUOTIENTS = (operator.truediv, torch.div, torch.true_divide, "div")


def evaluated(function: Callable[..., torch.Tensor], double: bool) -> nn.Module:
    """An inexact ``function`` of a network that computes in float64 or float32, as one that every engine repeats."""
    name = _FUNCTIONS.get(function, type(function).__name__.lower())
    if double and name in ("sigmoid", "tanh"):
        return Sigmoid() if name == "sigmoid" else Tanh()
    return Table(function)


def exact_functions(network: fx.GraphModule, length: int, double: bool) -> fx.GraphModule:
    """``network`` with the rewrites above, in place; ``double``: it computes in float64."""
    for node in list(network.graph.nodes):
        if node.op == "call_module":
            found = network.get_submodule(node.target)
            if isinstance(found, INEXACT):
                put(network, node.target, evaluated(found, double))
        elif node.op in ("call_function", "call_method"):
            _call(network, node, length, double)
    network.graph.eliminate_dead_code()
    network.recompile()
    return network


def _call(network: fx.GraphModule, node: fx.Node, length: int, double: bool) -> None:
    name = str(node.target) if node.op == "call_method" else _FUNCTIONS.get(node.target, "")
    if node.target is getattr and node.args[1] in ("value", "tensor"):
        (tensor,) = node.all_input_nodes
        node.replace_all_uses_with(tensor)
        network.graph.erase_node(node)
    elif name in _FUNCTIONS.values():
        options = {key: value for key, value in node.kwargs.items() if key != "input"}
        function = getattr(torch, node.target) if isinstance(node.target, str) else node.target
        function = functools.partial(function, **options) if options else function
        _module(network, node, node.kwargs.get("input") or node.args[0], evaluated(function, double), name)
    elif node.target in ("mean", torch.mean) and not power_of_two(length):
        with network.graph.inserting_before(node):
            total = network.graph.call_method("sum", node.args, node.kwargs)
        total.meta = {**node.meta, "called": "mean"}
        _module(network, node, total, Quotient(length), "mean")
    elif node.target in _QUOTIENTS and is_number(node.args[1]) and not power_of_two(node.args[1]):
        _module(network, node, node.args[0], Quotient(node.args[1]), "quotient")


def _module(network: fx.GraphModule, node: fx.Node, source: fx.node.Argument, module: nn.Module, name: str) -> None:
    """A call of ``module`` on ``source`` instead of ``node``."""
    path = free_path(network, f"{owner(node)}{name}")
    network.add_submodule(path, module)
    with network.graph.inserting_before(node):
        call = network.graph.call_module(path, (source,))
    instead(node, call)
