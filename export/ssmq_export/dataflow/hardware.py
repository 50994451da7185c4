"""What an operation is made of in hardware, at one element a cycle: multipliers, adders, shifts, memories."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["multiply", "dot", "shift", "add", "round", "compare", "state", "fork"]

# Cycles from reading a state of a scan until it may be read again.
SCAN_LOOP = 10


@dataclass(frozen=True)
class Part:
    """``dims``: sizes whose divisors may be lanes. ``left``, ``right``, ``out``: widths in bits, ``right`` of the second
    operand or of a stored constant. ``stored``: words of ``right`` bits kept. ``choices``: different shifts. ``levels``:
    thresholds of one channel. ``multiplications``: products a step that are none by 0. ``buffered``: whether all inputs
    are kept while the outputs that need them are computed one after another."""

    kind: Kind
    dims: tuple[int, ...]
    left: int
    right: int
    out: int
    stored: int = 0
    choices: int = 1
    levels: int = 0
    multiplications: int = 0
    buffered: bool = False

    @property
    def stored_bits(self) -> int:
        return self.stored * self.right


@dataclass(frozen=True)
class ScanShape:
    """A DiagonalScan: ``widths`` of u, A, B, C, D, y and of a shift; ``choices`` of shifts that Re B and Im B are, 0 for
    products, and of those by which states are rounded."""

    heads: int
    modes: int
    state_bits: int
    widths: tuple[int, int, int, int, int, int, int]
    choices: tuple[int, int, int]


def scan_parts(shape: ScanShape) -> tuple[Part, ...]:
    """The recurrence of a layer, mode by mode: the products, sums, roundings and states that its step graph has."""
    heads, modes, state = shape.heads, shape.modes, shape.state_bits
    u, a, b, c, d, out, amount = shape.widths
    *given, shifts = shape.choices
    count, wide = heads * modes, max(a + state, b + u) + 2
    every, one = (count,), (heads,)
    parts = [Part("multiply", every, state, a, a + state, stored=count * (k < 2), multiplications=count) for k in range(4)]
    for found in given:
        if found:
            parts.append(Part("shift", every, u, b, b + u, stored=count, choices=found))
        else:
            parts.append(Part("multiply", every, u, b, b + u, stored=count, multiplications=count))
    parts += [Part("add", every, wide, wide, wide)] * 4
    if shifts > 1:
        parts += [Part("shift", every, wide, amount, wide, stored=count * (k < 1), choices=shifts) for k in range(2)]
    parts += [Part("round", every, wide, state, state)] * 2
    parts += [Part("state", every, state, state, state, stored=count)] * 2
    parts += [Part("dot", (heads, modes), state, c, out, stored=count, multiplications=count)] * 2
    parts += [Part("multiply", one, u, d, out, stored=heads, multiplications=heads)]
    return (*parts, *[Part("add", one, out, out, out)] * 2)
