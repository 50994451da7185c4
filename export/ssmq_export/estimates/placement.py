"""Where Yosys puts a memory: into blocks of RAM, into LUTs that are RAM, or into logic."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from .parts import Family


@dataclass(frozen=True)
class Placement:
    """``blocks`` of RAM, ``cells`` of LUT RAM or LUTs that hold a ROM, bits that are ``chosen`` among several of them, and
    ``registers`` that hold the words themselves."""

    blocks: int = 0
    cells: float = 0
    chosen: int = 0
    registers: int = 0


def blocks_of(words: int, bits: int, family: Family) -> int:
    """By the shape that takes fewest."""
    return min(ceil(words / depth) * ceil(bits / width) for depth, width in family.blocks)


def placed_rom(words: int, bits: int, used: int, family: Family) -> Placement:
    """As ``ssmq_rom`` says: what is deep and large enough in blocks, as many as the bits take that are ``used``, else a LUT
    a bit for as many words as one holds."""
    if words > 16 and words * bits >= 200:
        return Placement(blocks=blocks_of(words, used, family))
    return Placement(cells=ceil(words / family.lut_words) * bits * (words > 2))


def placed_ram(words: int, bits: int, family: Family) -> Placement:
    """Where Yosys finds it least: in blocks, or in LUTs with a choice among several of them, or in registers."""
    blocks = blocks_of(words, bits, family)
    if family.measured == "ice40":
        return Placement(blocks=blocks) if words * bits > 64 * blocks else Placement(registers=words * bits)
    if words < 3:
        return Placement(registers=words * bits)
    if family.measured == "xilinx":
        # RAM32M of six bits, RAM64M of three.
        deep, wide = (32, 6) if words <= 32 else (64, 3)
        cells, chosen = ceil(words / deep) * ceil(bits / wide), (ceil(words / deep) - 1) * bits
        return Placement(blocks=blocks) if words * bits > 2750 * blocks else Placement(cells=cells, chosen=chosen)
    cells, chosen = ceil(words / 16) * ceil(bits / 4), (ceil(words / 16) - 1) * bits
    return Placement(blocks=blocks) if 4 * cells + 0.55 * chosen > 128 * blocks else Placement(cells=cells, chosen=chosen)
