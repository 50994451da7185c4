"""Quantisers where the integer contract needs them.

A value gets one quantiser if somebody who reads it needs codes and it is none, and everybody then reads what that gives:
after a sum that goes on as a stream, before a table, after a function, before a product. Tensors to be concatenated that are
read by nobody else share one, so that the result is on one grid. None follows another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import fx

from ..activations import HardGELU, HardSigmoid, Sigmoid
from ..quantizers import Quantizer
from .needs import FALLING, State, needed, nonnegative, readers, state
from .operations import Operation, operations
from .spread import free_path

# The widths of a scheme that quantisers take, by what they quantise.
ROLES = ("input", "u", "y", "activation", "pool")


@dataclass(frozen=True)
class Place:
    """Where a quantiser was put: after the operation ``after``, for ``role`` of the scheme.

    ``unit``: what it quantises lies in [0, 1], so its exponent is known.
    """

    path: str
    after: str
    role: str
    signed: bool
    unit: bool


def insert(
    network: fx.GraphModule, example: torch.Tensor, input_signed: bool, widths: Callable[[str, str], int]
) -> list[Place]:
    """Put quantisers of ``widths(path, role)`` bits into ``network``, in place; their exponents are yet unset."""
    places: list[Place] = []
    found = operations(network, example)
    while (missing := next(_missing(found), None)) is not None:
        values, path = missing
        known = {operation.name: operation for operation in found}
        read = [reader for value in values for reader, _ in through(value, readers(found))]
        path = free_path(network, f"{path}_quant")
        role = _role(values[0], read, known)
        signed = not all(nonnegative(value.name, known, input_signed) for value in values)
        module = Quantizer(widths(path, role), signed)
        network.add_submodule(path, module.train(network.training))
        for value in values:
            found = _after(network, value, path, module, found)
        places.append(Place(path, values[0].name, role, signed, _unit(values[0], known)))
    network.recompile()
    return places


def _missing(found: list[Operation]) -> Iterator[tuple[list[Operation], str]]:
    """Values that have to be quantised, the first in the order of the network first; several if they share a quantiser."""
    known = {operation.name: operation for operation in found}
    read = readers(found)
    states: dict[str, State] = {}
    for operation in found:
        states[operation.name] = now = state(operation, states, known)
        wanting = [reader for reader in through(operation, read) if now not in needed(*reader)]
        if not wanting or operation.kind == "output":
            continue
        (reader, _), *_ = wanting
        if reader.kind == "cat" and len(read[operation.name]) == 1:
            parts = [known[name] for name in dict.fromkeys(reader.inputs)]
            shared = [part for part in parts if part.kind != "quantizer" and len(read[part.name]) == 1]
            # All of them have to be known by now; the last one asks for all.
            if any(part.name not in states for part in shared):
                continue
            yield [part for part in shared if states[part.name] != "codes"], reader.path
        else:
            yield [operation], operation.path


def through(operation: Operation, read: dict[str, list[Operation]]) -> Iterator[tuple[Operation, Operation]]:
    """Who reads ``operation``, what only moves its axes left out, each with the operation it reads it from.

    A quantiser goes behind a dropout, whose values are no codes in training; at the network's end there is none to read it.
    """
    for reader in read[operation.name]:
        if reader.kind == "same":
            far = [(last, operation) for last, _ in through(reader, read)]
            yield from (pair for pair in far if reader.module is None or pair[0].kind == "output")
        if reader.kind != "same" or reader.module is not None:
            yield reader, operation


def _role(value: Operation, read: list[Operation], known: dict[str, Operation]) -> str:
    if value.kind == "input":
        return "input"
    summed = value
    while summed.kind in ("affine", "same"):
        summed = known[summed.inputs[0]]
    if summed.kind == "sum":
        return "pool"
    if any(isinstance(reader.module, FALLING) for reader in read):
        return "y"
    stream = value.kind == "linear" and any(reader.kind in ("s4d", "add", "sub", "sum", "same") for reader in read)
    return "u" if stream or value.kind in ("add", "sub") else "activation"


def _unit(value: Operation, known: dict[str, Operation]) -> bool:
    while value.kind == "same":
        value = known[value.inputs[0]]
    return isinstance(value.module, (Sigmoid, HardSigmoid)) and not isinstance(value.module, HardGELU)


def _after(network: fx.GraphModule, value: Operation, path: str, module: Quantizer, found: list[Operation]) -> list[Operation]:
    """Call the quantiser on ``value`` for everybody who reads it; the operations as they are then."""
    node = next(node for node in network.graph.nodes if node.name == value.name)
    users = list(node.users)
    with network.graph.inserting_after(node):
        call = network.graph.call_module(path, (node,))
    call.meta = {"nn_module_stack": {path: (path, Quantizer)}}
    for user in users:
        user.replace_input_with(node, call)
    quantized = Operation(call.name, "quantizer", (value.name,), value.axes, value.channels, path, module)
    after: list[Operation] = []
    for operation in found:
        if value.name in operation.inputs:
            inputs = tuple(call.name if name == value.name else name for name in operation.inputs)
            operation = replace(operation, inputs=inputs)
        after += [operation, quantized] if operation.name == value.name else [operation]
    return after
