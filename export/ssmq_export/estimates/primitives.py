"""What adders, multipliers, memories and comparators cost, each formula with its reasoning.

All widths in bits. The formulas are first-order: they ignore what a vendor's optimiser saves across primitives.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from math import ceil

from .parts import Family

# Below an eighth of an 18 kbit block a memory is better off in LUTs; so is one no deeper than a LUT6 (64 words).
LUT_MEMORY_BITS, LUT_MEMORY_WORDS = 2304, 64


@dataclass(frozen=True)
class Cost:
    """``bram`` in blocks of 18 kbit."""

    lut: int = 0
    ff: int = 0
    dsp: int = 0
    bram: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    def __mul__(self, count: int) -> Cost:
        return Cost(*(count * value for value in astuple(self)))


def adder(width: int) -> Cost:
    """Sum or difference, registered: one LUT and one carry bit a bit (CARRY4/CARRY8; ECP5's CCU2C), one FF a bit."""
    return Cost(lut=width, ff=width)


def multiplier(left: int, right: int, family: Family, use_dsp: bool) -> Cost:
    """Product, registered.

    In LUTs an array of ``right - 1`` rows of adders: each LUT forms one partial-product bit and adds it, so
    ``left * right`` LUTs at most. In hardware multipliers one a tile of the family's operand widths, whichever way
    round takes fewer, and an adder to join each further tile; their pipeline registers are inside.
    """
    if not use_dsp:
        return Cost(lut=left * right, ff=left + right)
    wide, narrow = family.multiplier
    tiles = min(ceil(a / wide) * ceil(b / narrow) for a, b in ((left, right), (right, left)))
    return Cost(dsp=tiles, ff=left + right) + adder(left + right) * (tiles - 1)


def shifter(width: int, choices: int) -> Cost:
    """Multiplication by a power of two: wires if it is always the same one, else a choice between shifts.

    A LUT6 holds a 4:1 and a LUT4 a 2:1 multiplexer; counted as 2:1 stages, two of which share a LUT6.
    """
    levels = (choices - 1).bit_length()
    return Cost(lut=width * levels, ff=width)


def memory(words: int, width: int, family: Family, written: bool = False) -> Cost:
    """A ROM, or a simple dual-port RAM if ``written``.

    In LUTs: 64 (LUT6) or 16 (LUT4) words of one bit each; a RAM with its own write address needs a third more
    (RAM64M: 4 LUTs for 3 bits) or, in ECP5, half more (TRELLIS_DPR16X4: 4 LUTs and 2 of write logic). Else in blocks,
    by the shape that takes fewest.
    """
    if words <= LUT_MEMORY_WORDS or words * width <= LUT_MEMORY_BITS:
        luts = ceil(words / family.lut_words) * width
        more = (4 / 3 if family.lut_inputs == 6 else 3 / 2) if written else 1
        return Cost(lut=ceil(luts * more), ff=width)
    return Cost(bram=min(ceil(words / depth) * ceil(width / bits) for depth, bits in family.blocks), ff=width)


def comparator(width: int) -> Cost:
    """Greater or equal: a subtraction of which only the carry is kept."""
    return Cost(lut=width, ff=1)


def rounder(wide: int, narrow: int) -> Cost:
    """Round half to even by a constant shift, then saturate.

    One adder for the rounding bit over the kept bits, an or-tree over the dropped ones (5 more inputs a LUT) and one
    LUT a bit that chooses between the sum and the two ends.
    """
    return Cost(lut=wide + ceil(wide / 5) + narrow, ff=narrow + 2)


def control(cycles: int) -> Cost:
    """Channel counter and handshake of one node: an incrementer, its comparison, valid and ready."""
    counter = max(1, (cycles - 1).bit_length())
    return Cost(lut=counter + ceil(counter / 6) + 2, ff=counter + 2)
