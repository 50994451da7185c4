"""Calls of functions and methods, written in one way: arguments by position, and none that changes what the call means.

1. ``torch.add(input=x, other=y)`` becomes ``torch.add(x, y)``.
2. ``alpha=2``, ``rounding_mode="floor"``, ``dtype=...`` and their like are refused: read over, they would be lost.
3. ``x.add_(y)`` becomes ``x + y``, if nobody else reads ``x``; else it is refused, as every other change in place.
"""

from __future__ import annotations

import operator
from collections.abc import Callable

import torch
from torch import fx
from torch.nn import functional as F

from ..errors import SsmqError
from .spread import owner

_TWO, _TIME, _AXES = ("input", "other"), ("input", "dim", "keepdim"), ("input", "dim0", "dim1")
_ORDER = {
    "add": _TWO, "sub": _TWO, "mul": _TWO, "div": _TWO, "true_divide": _TWO, "neg": ("input",), "glu": ("input", "dim"),
    "sum": _TIME, "mean": _TIME, "cat": ("tensors", "dim"), "concat": ("tensors", "dim"), "concatenate": ("tensors", "dim"),
    "chunk": ("input", "chunks", "dim"), "split": ("input", "split_size_or_sections", "dim"),
    "transpose": _AXES, "swapaxes": _AXES, "swapdims": _AXES, "permute": ("input", "dims"), "clone": ("input",),
}  # fmt: skip
_SPELLED = {
    "axis": "dim", "axis0": "dim0", "axis1": "dim1", "keepdims": "keepdim", "tensor": "input",
    "split_size": "split_size_or_sections",
}  # fmt: skip
_OPTIONAL = ("dim", "keepdim")
# What a call does without them.
_IDLE = {"alpha": 1, "rounding_mode": None, "dtype": None, "out": None}
_IN_PLACE: dict[Callable | str, Callable | str] = {
    operator.iadd: operator.add, operator.isub: operator.sub, operator.imul: operator.mul, operator.itruediv: operator.truediv,
    **{f"{name}_": name for name in ("add", "sub", "mul", "div", "neg", "relu", "clamp", "clip", "sigmoid", "tanh")},
    torch.relu_: torch.relu, F.relu_: F.relu,
}  # fmt: skip
_PARTS = ("chunk", "split")
_VIEWS = (*_PARTS, "getitem", "transpose", "swapaxes", "swapdims", "permute", "contiguous")


def one_way(network: fx.GraphModule) -> fx.GraphModule:
    """``network`` with its calls written as above, in place. Raises SsmqError naming the call."""
    for node in network.graph.nodes:
        if _changes(network, node):
            _refuse_shared(node)
        node.target = _IN_PLACE.get(node.target, node.target)
        if node.op in ("call_function", "call_method"):
            _order(node)
    network.recompile()
    return network


def _name(node: fx.Node) -> str:
    return node.target if isinstance(node.target, str) else getattr(node.target, "__name__", node.name)


def _order(node: fx.Node) -> None:
    named = {_SPELLED.get(key, key): value for key, value in node.kwargs.items()}
    arguments = list(node.args)
    order = _ORDER.get(_name(node), ("input",))
    for name in order[len(arguments) :]:
        if name not in named:
            break
        arguments.append(named.pop(name))
    if _name(node) in _ORDER:
        absent = [name for name in order[len(arguments) :] if name not in _OPTIONAL]
        if absent:
            raise SsmqError(f"{owner(node)}{_name(node)}: is called without {absent[0]}")
        named = {key: value for key, value in named.items() if key not in _IDLE or value != _IDLE[key]}
        wrong = [f"{key}={value!r}" for key, value in named.items() if key not in order]
        wrong += [repr(value) for value in arguments[len(order) :] if order[-1] != "dims"]
        if wrong:
            raise SsmqError(f"{owner(node)}{_name(node)}: {wrong[0]} has no exact integer form here: leave it out")
    node.args, node.kwargs = tuple(arguments), named


def _changes(network: fx.GraphModule, node: fx.Node) -> bool:
    """Whether a call changes its input in place."""
    if node.op == "call_module":
        return bool(getattr(network.get_submodule(str(node.target)), "inplace", False))
    return node.target in _IN_PLACE or bool(node.kwargs.get("inplace", False))


def _refuse_shared(node: fx.Node) -> None:
    value = node.args[0] if node.args else node.kwargs.get("input")
    while isinstance(value, fx.Node):
        if len(value.users) > 1 and _name(value) not in _PARTS:
            name = node.target if node.op == "call_module" else f"{owner(node)}{_name(node)}"
            raise SsmqError(f"{name}: changes in place what others read too: use it without inplace")
        value = value.args[0] if value.op != "call_module" and _name(value) in _VIEWS else None
