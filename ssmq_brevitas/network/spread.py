"""Calls of one idea each: functions and torch's activations become modules whose arithmetic every engine repeats.

1. A function or method (``F.relu``, ``x.sigmoid()``, ``torch.clamp``) becomes a call of a module named after its place.
2. An activation of torch becomes ours, which evaluates in double precision or with constants that every engine has.
3. GLU becomes a split, a sigmoid and a product.
4. Dropout as a function becomes the module.
5. A mean over time becomes a sum times 1 / T, a quotient by a number a product: one arithmetic for every engine.

Values stay what they were, to float rounding.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import TypeGuard

import torch
from torch import fx, nn
from torch.nn import functional as F

from ..activations import GELU, HardGELU, HardSigmoid, Sigmoid, SiLU, Tanh
from ..errors import SsmqError

SIXTH = 1 / 6


def _clip(min: float | None = None, max: float | None = None) -> nn.Module:
    return _hardtanh(float("-inf") if min is None else min, float("inf") if max is None else max)


def _hardtanh(min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> nn.Module:
    low, high = float(min_val), float(max_val)
    if not low < high:
        raise SsmqError(f"its limits {low:g} and {high:g} leave no range")
    return nn.Hardtanh(low, high)


def _dropout(p: float = 0.5, training: bool = True, inplace: bool = False) -> nn.Module:
    if training:  # networks are traced in evaluation mode
        raise SsmqError("drops values in evaluation too: give it training=self.training, or use nn.Dropout")
    return nn.Dropout(p)


def _gelu(approximate: str = "none") -> nn.Module:
    if approximate != "none":
        raise SsmqError(f"GELU's approximation {approximate!r} is not its own function: use approximate='none'")
    return GELU()


def _plain(kind: Callable[[], nn.Module]) -> Callable[..., nn.Module]:
    return lambda inplace=False: kind()


_MAKERS: dict[str, Callable[..., nn.Module]] = {
    "relu": _plain(nn.ReLU),
    "relu6": _plain(lambda: nn.Hardtanh(0.0, 6.0)),
    "clamp": _clip,
    "clip": _clip,
    "hardtanh": _hardtanh,
    "gelu": _gelu,
    "sigmoid": _plain(Sigmoid),
    "tanh": _plain(Tanh),
    "silu": _plain(SiLU),
    "hardsigmoid": _plain(lambda: HardSigmoid(SIXTH)),
    "hardswish": _plain(lambda: HardGELU(SIXTH)),
    "dropout": _dropout,
}
_FUNCTIONS = {getattr(place, name): name for place in (torch, F) for name in _MAKERS if callable(getattr(place, name, None))}
_OURS: dict[type[nn.Module], Callable[[nn.Module], nn.Module]] = {
    nn.GELU: lambda found: _gelu(str(found.approximate)),
    nn.Sigmoid: lambda found: Sigmoid(),
    nn.Tanh: lambda found: Tanh(),
    nn.SiLU: lambda found: SiLU(),
    nn.Hardsigmoid: lambda found: HardSigmoid(SIXTH),
    nn.Hardswish: lambda found: HardGELU(SIXTH),
    nn.ReLU6: lambda found: nn.Hardtanh(0.0, 6.0),
}


def owner(node: fx.Node) -> str:
    """Attribute path of the submodule in whose ``forward`` the call stands, with a dot behind it; empty for the network."""
    stack = list(node.meta.get("nn_module_stack") or ())
    if node.op == "call_module" and stack:
        stack.pop()
    return f"{stack[-1].split('@')[0]}." if stack else ""


def free_path(module: fx.GraphModule, wanted: str) -> str:
    """``wanted``, or with a number behind it, such that no submodule or parameter has the name."""
    *owners, name = wanted.split(".")
    place: nn.Module | None = module
    for owner in owners:
        place = place._modules.get(owner) if place is not None else None
    taken = {*place._modules, *place._parameters, *place._buffers} if place is not None else ()
    free, count = name, 1
    while free in taken:
        free, count = f"{name}_{count}", count + 1
    return ".".join((*owners, free))


def spread(network: fx.GraphModule, length: int) -> fx.GraphModule:
    """``network`` with the rewrites above for sequences of ``length`` steps, in place and in evaluation mode.

    Raises SsmqError naming the call.
    """
    given = dict(network.named_modules(remove_duplicate=False))
    for node in list(network.graph.nodes):
        if node.op == "call_module":
            found = given[node.target]  # what stands there now is of another call of it
            if getattr(found, "inplace", False):
                found.inplace = False  # it would change what a quantiser gave
            if type(found) in _OURS:
                put(network, node.target, _named(node, functools.partial(_OURS[type(found)], found)))
            elif isinstance(found, nn.GLU):
                put(network, node.target, Sigmoid())
                _glu(network, node, found.dim, node.target)
        elif node.op in ("call_function", "call_method"):
            if node.target in ("mean", torch.mean):
                _scaled(node, node.graph.call_method, "sum", node.args, node.kwargs, 1 / length)
            elif node.target in (operator.truediv, torch.div, torch.true_divide, "div") and is_number(node.args[1]):
                _scaled(node, None, None, node.args, {}, 1 / node.args[1])
            else:
                _function(network, node)
    network.graph.eliminate_dead_code()
    network.recompile()
    return network.eval()


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether a product or quotient with ``value`` has a meaning here."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value != 0


def _scaled(node: fx.Node, call, name, arguments: tuple, keywords: dict, gain: float) -> None:
    """``node`` becomes ``gain`` times a call, or times its first argument."""
    with node.graph.inserting_before(node):
        source = arguments[0] if call is None else call(name, arguments, keywords)
        product = node.graph.call_function(operator.mul, (source, gain))
    if call is not None:
        source.meta = dict(node.meta)
        node.meta["called"] = "mean"
    instead(node, product)


def _function(network: fx.GraphModule, node: fx.Node) -> None:
    name = node.target if node.op == "call_method" else _FUNCTIONS.get(node.target)
    if node.target is F.glu:
        dim = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else -1)
        path = free_path(network, f"{owner(node)}glu")
        network.add_submodule(path, Sigmoid())
        _glu(network, node, dim, path)
    elif name in _MAKERS:
        named = dict(node.kwargs)
        source = named.pop("input", None) or node.args[0]
        made = _named(node, lambda: _MAKERS[name](*node.args[1:], **named))
        path = free_path(network, f"{owner(node)}{name}")
        network.add_submodule(path, made)
        with network.graph.inserting_before(node):
            call = network.graph.call_module(path, (source,))
        instead(node, call)


def _named(node: fx.Node, make: Callable[[], nn.Module]) -> nn.Module:
    try:
        return make()
    except SsmqError as error:
        name = node.target if node.op == "call_module" else f"{owner(node)}{getattr(node.target, '__name__', node.target)}"
        raise SsmqError(f"{name}: {error}") from error
    except (TypeError, ValueError) as error:
        raise SsmqError(f"{owner(node)}{node.name}: is called with arguments that are not numbers ({error})") from error


def _glu(network: fx.GraphModule, node: fx.Node, dim: fx.node.Argument, path: str) -> None:
    with network.graph.inserting_before(node):
        halves = network.graph.call_function(torch.chunk, (node.args[0], 2, dim))
        value = network.graph.call_function(operator.getitem, (halves, 0))
        gate = network.graph.call_function(operator.getitem, (halves, 1))
        opened = network.graph.call_module(path, (gate,))
        product = network.graph.call_function(operator.mul, (value, opened))
    stack = dict(node.meta.get("nn_module_stack") or {})
    if node.op == "call_module":  # what is no call of the module itself stands in its owner
        stack.popitem()
    for new, name in ((halves, "halves"), (value, "value"), (gate, "gate")):
        new.meta = {"nn_module_stack": stack, "called": f"{path.rsplit('.', 1)[-1]}_{name}"}
    opened.meta = {"nn_module_stack": {**stack, path: (path, Sigmoid)}}
    instead(node, product)
    product.meta = {"nn_module_stack": stack, "called": f"{path.rsplit('.', 1)[-1]}_product"}


def instead(node: fx.Node, new: fx.Node) -> None:
    """``new`` takes the place of ``node``."""
    new.meta = dict(node.meta)
    if new.op == "call_module" and node.op != "call_module":
        new.meta["nn_module_stack"] = {**(new.meta.get("nn_module_stack") or {}), new.target: (new.target, None)}
    node.replace_all_uses_with(new)
    node.graph.erase_node(node)


def put(network: fx.GraphModule, path: str, module: nn.Module) -> None:
    """``module`` at ``path``, in the mode of what was there."""
    module.train(network.get_submodule(path).training)
    network.set_submodule(path, module)
