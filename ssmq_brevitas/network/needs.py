"""What every value of a network is, and what those who read it need.

``raw``     the input, which is codes once its quantiser is there
``codes``   on the grid of one quantiser
``exact``   a sum or product of codes, on a finer and wider grid
``tabled``  a float function of codes: a table, or thresholds
``float``   a float function of an exact value: thresholds, if a quantiser follows
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Literal

from torch import nn

from ..activations import HardGELU, HardSigmoid, Sigmoid
from .operations import FALLING, Operation

State = Literal["raw", "codes", "exact", "tabled", "float"]

CODES, EXACT, TABLED = frozenset({"codes"}), frozenset({"codes", "exact"}), frozenset({"codes", "tabled"})
_NEEDS: dict[str, frozenset[str]] = {
    "linear": CODES, "s4d": CODES, "mul": CODES, "sum": CODES, "cat": CODES, "add": EXACT, "sub": EXACT, "output": EXACT,
}  # fmt: skip
ANY = frozenset({"codes", "exact", "tabled", "float"})
# Whatever reads the input but these reads the codes that come in.
_TAKES_RAW = ("quantizer", "same", "last")


def power_of_two(gain: float) -> bool:
    return gain != 0 and math.frexp(abs(gain))[0] == 0.5


def needed(reader: Operation, source: Operation) -> frozenset[str]:
    """The states of ``source`` that ``reader`` can take."""
    # Whatever is done to it, an input comes as codes.
    if source.kind == "input" and reader.kind != "quantizer":
        return CODES
    if isinstance(reader.module, FALLING):
        # A hard function is operators that every engine has, of whatever codes become; the others are a table of the codes.
        return TABLED if isinstance(reader.module, HardGELU) else CODES
    # A slice of a linear layer is a smaller layer; of anything else it selects codes.
    if reader.kind in ("slice", "split"):
        return EXACT if source.kind == "linear" else CODES
    # One operator of hardware gives out the sum of an S4D layer; it joins others on codes.
    if reader.kind in ("add", "sub") and source.kind == "s4d":
        return CODES
    # A running sum is kept in a state, which cannot also be the output.
    if reader.kind == "output" and source.kind == "sum":
        return CODES
    return ANY | {"raw"} if reader.kind in _TAKES_RAW else _NEEDS.get(reader.kind, ANY)


def state(operation: Operation, states: Mapping[str, State], known: Mapping[str, Operation]) -> State:
    """What ``operation`` gives, where ``states`` are those of the operations that it reads."""
    kind, sources = operation.kind, [states[name] for name in operation.inputs]
    if kind in ("same", "last", "slice", "split", "output"):
        return sources[0]
    if kind == "quantizer":
        return "codes"
    if kind == "input":
        return "raw"
    if kind == "cat":
        grids = {grid_of(name, known) for name in operation.inputs}
        return "codes" if set(sources) == {"codes"} and len(grids) == 1 else "exact"
    if kind in ("linear", "s4d", "add", "sub", "mul", "sum"):
        return "exact"
    if kind == "affine" and power_of_two(operation.gain) and not operation.offset:
        return "exact" if operation.gain < 0 and sources[0] == "codes" else sources[0]
    return "tabled" if sources[0] in ("codes", "tabled") else "float"


def grid_of(name: str, known: Mapping[str, Operation]) -> tuple[int, int] | None:
    """The quantiser whose grid a value lies on and the powers of two it was scaled by since; None for no one quantiser."""
    operation, shift = known[name], 0
    while operation.kind != "quantizer":
        if operation.kind == "affine" and power_of_two(operation.gain) and operation.gain > 0 and not operation.offset:
            shift += math.frexp(operation.gain)[1] - 1
        elif operation.kind == "cat":
            grids = {grid_of(source, known) for source in operation.inputs}
            found = grids.pop()
            return None if grids or found is None else (found[0], found[1] + shift)
        elif operation.kind not in ("same", "last", "slice", "split"):
            return None
        operation = known[operation.inputs[0]]
    return id(operation.module), shift


def nonnegative(name: str, known: Mapping[str, Operation], input_signed: bool) -> bool:
    """Whether a value is never below 0, whatever the weights."""
    operation = known[name]
    module = operation.module
    if operation.kind == "input":
        return not input_signed
    if operation.kind == "quantizer":
        return not getattr(module, "signed", True)
    if operation.kind == "function":
        if isinstance(module, nn.Hardtanh):
            return module.min_val >= 0
        return isinstance(module, (nn.ReLU, Sigmoid, HardSigmoid)) and not isinstance(module, HardGELU)
    if operation.kind in ("same", "last", "slice", "split", "add", "mul", "sum", "cat", "affine"):
        grows = operation.gain >= 0 and operation.offset >= 0
        return grows and all(nonnegative(source, known, input_signed) for source in operation.inputs)
    return False


def readers(operations: Iterable[Operation]) -> dict[str, list[Operation]]:
    """Who reads each operation."""
    found: dict[str, list[Operation]] = {}
    for operation in operations:
        found.setdefault(operation.name, [])
        for name in operation.inputs:
            found[name].append(operation)
    return found
