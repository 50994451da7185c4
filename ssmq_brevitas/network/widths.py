"""Accumulator widths of a quantised network, from its formats alone (see ``bounds``)."""

from __future__ import annotations

import math

import numpy as np

from ..bounds import Term, by_head, code_term, least_bits, linear_terms, product_term, readout_terms, state_terms, sum_bits
from ..formats import Format
from ..quant_linear import OnGrids
from ..quant_s4d import QuantS4D
from ..quantizers import Quantizer
from .needs import State, grid_of, state
from .operations import Operation


class Widths:
    """Formats and sums of ``operations``, those of a quantised network, over sequences of ``length`` steps."""

    def __init__(self, operations: list[Operation], length: int):
        self.length = length
        self.known = {operation.name: operation for operation in operations}
        modules = (operation.module for operation in operations)
        self.quantizers = {id(module): module for module in modules if isinstance(module, Quantizer)}
        self.states: dict[str, State] = {}
        for operation in operations:
            self.states[operation.name] = state(operation, self.states, self.known)

    def format(self, name: str) -> Format:
        """The format of a value that is codes: what is read as such has a quantiser, put there or asked for."""
        found = grid_of(name, self.known)
        assert found is not None, f"{self.known[name].path} is read as codes"
        fmt = self.quantizers[found[0]].format
        return Format(fmt.bits, fmt.signed, fmt.exponent + found[1])

    def accumulators(self, least: bool = False) -> dict[str, int]:
        """Bits of every exact sum, by the path of what computes it; of an S4D layer also of its state, ``PATH.x``.

        ``least``: what it takes whatever the exponents, with all terms on one grid, to which others only add.
        """
        bits = least_bits if least else sum_bits
        found: dict[str, int] = {}
        for operation in self.known.values():
            if operation.kind == "s4d":
                found[f"{operation.path}.x"] = bits(*self._state(operation))
            if operation.kind in ("linear", "s4d", "add", "sub", "mul", "sum"):
                path, count = operation.path, 1
                while path in found:
                    path, count = f"{operation.path}_{count}", count + 1
                found[path] = bits(*self.terms(operation.name))
        return found

    def terms(self, name: str) -> tuple[Term, ...]:
        """The terms of an exact value or of codes."""
        operation = self.known[name]
        if self.states[name] == "codes":
            return (code_term(self.format(name)),)
        return getattr(self, f"_{operation.kind}")(operation)

    def _passed(self, operation: Operation) -> tuple[Term, ...]:
        return self.terms(operation.inputs[0])

    _same = _last = _slice = _output = _passed

    def _linear(self, operation: Operation) -> tuple[Term, ...]:
        layer, feeding = operation.layer(OnGrids), self.format(operation.inputs[0])
        return linear_terms(layer.weight.shape[1], layer.weight_format, feeding, layer.bias_format)

    def _state(self, operation: Operation) -> tuple[Term, ...]:
        layer = operation.layer(QuantS4D)
        return state_terms(layer.a.format, by_head(layer.b_quant.format), layer.state.format, self.format(operation.inputs[0]))

    def _s4d(self, operation: Operation) -> tuple[Term, ...]:
        layer = operation.layer(QuantS4D)
        d = Format(layer.d_quant.bits, True, layer.d_quant.format.exponent[..., None])
        u = self.format(operation.inputs[0])
        return readout_terms(layer.modes, by_head(layer.c_quant.format), d, layer.state.format, u)

    def _add(self, operation: Operation) -> tuple[Term, ...]:
        return tuple(term for name in operation.inputs for term in self.terms(name))

    def _sub(self, operation: Operation) -> tuple[Term, ...]:
        left, right = (self.terms(name) for name in operation.inputs)
        return (*left, *((-high, -low, exponent) for low, high, exponent in right))

    def _mul(self, operation: Operation) -> tuple[Term, ...]:
        left, right = (self.format(name) for name in operation.inputs)
        return (product_term(left, right),)

    def _sum(self, operation: Operation) -> tuple[Term, ...]:
        return (code_term(self.format(operation.inputs[0]), self.length),)

    def _affine(self, operation: Operation) -> tuple[Term, ...]:
        shift = math.frexp(abs(operation.gain))[1] - 1
        ends = [(low, high) if operation.gain > 0 else (-high, -low) for low, high, _ in self.terms(operation.inputs[0])]
        exponents = [exponent for _, _, exponent in self.terms(operation.inputs[0])]
        return tuple((*end, exponent + shift) for end, exponent in zip(ends, exponents, strict=True))

    def _cat(self, operation: Operation) -> tuple[Term, ...]:
        """The widest range of any part, on the finest grid of any."""
        formats = [self.format(name) for name in operation.inputs]
        finest = min(int(np.min(fmt.exponent)) for fmt in formats)
        shifts = [int(np.max(fmt.exponent)) - finest for fmt in formats]
        low = min(fmt.low << shift for fmt, shift in zip(formats, shifts, strict=True))
        high = max(fmt.high << shift for fmt, shift in zip(formats, shifts, strict=True))
        return ((low, high, np.array(finest)),)
