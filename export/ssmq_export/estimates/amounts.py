"""What a module of the RTL is made of: bits of adders, of registers, of shifts, of memories, of products in LUTs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from math import ceil

from .parts import ECP5, Family
from .placement import Placement, placed_ram, placed_rom

Parameters = Mapping[str, int]
# Families with shift registers in LUTs.
SHIFTING = frozenset({"xilinx"})
# Amounts of products in LUTs, in logic and in registers.
PRODUCTS = frozenset({"paired", "gated", "rows", "products"})


def address(words: int) -> int:
    """Bits that count ``words``."""
    return max(1, (words - 1).bit_length())


class Amounts:
    """Amounts by what they are: those that take LUTs, those that take registers, and blocks of RAM.

    ``paced``: what leaves is always taken, so that nothing waits.
    """

    def __init__(self, parameters: Parameters, paced: bool, family: Family):
        self.has, self.paced, self.family = parameters, paced, family
        self.logic: dict[str, float] = defaultdict(float, one=1.0, waits=float(not paced))
        self.kept: dict[str, float] = defaultdict(float, one=1.0, waits=float(not paced))
        self.blocks = 0

    def adder(self, bits: float, count: float = 1) -> None:
        """``count`` carry chains of so many bits."""
        self.logic["added"] += max(bits, 0) * count
        self.logic["chains"] += count * (bits > 0)

    def register(self, bits: float, cycles: int = 1) -> None:
        self.kept["registers"] += bits * cycles

    def delay(self, bits: float, cycles: int, behind: int = 0) -> None:
        """Without a reset: a shift register, where the family has them and it is long enough, which takes in the registers
        that it is ``behind``."""
        if self.family.measured in SHIFTING and cycles + behind > 2:
            self.register(-bits, behind)
            self.kept["delayed"] += bits
            self.logic["delayed"] += bits
        else:
            self.register(bits, cycles)

    def flags(self, cycles: int, bits: int = 2) -> None:
        """Whether a beat is there, whether its step is the last; where it is paced, nobody reads that."""
        self.register(bits - self.paced, cycles)

    def counter(self, count: int) -> None:
        if count > 1:
            self.register(address(count))
            self.logic["counted"] += address(count)
            self.logic["counters"] += 1

    def rom(self, words: int, bits: int, count: int = 1, empty: int = 0) -> float:
        """Read in two cycles; ``empty`` bits are the same in all words. The share of its bits that are kept: of a few words
        many are alike, of one none are left."""
        if words < 2:
            return 0.0
        found = placed_rom(words, bits, bits - empty, self.family)
        if found.blocks:
            self._memory(found, bits, "rom", count)
            self._behind_block((bits - empty) * count)
            return 1.0
        kinds, used = 1 << min(words, 16), (bits - empty) * count
        alike = kinds * (1 - (1 - 1 / kinds) ** used)
        self.register(2 * alike)
        self._memory(replace(found, cells=found.cells * alike / bits), bits, "rom")
        return alike / max(used, 1)

    def ram(self, words: int, bits: int, cycles: int = 1) -> None:
        """Read in so many cycles."""
        found = placed_ram(words, bits, self.family)
        self._memory(found, bits, "ram")
        if not found.blocks:
            self.register(bits, cycles)
        elif cycles > 1:
            self._behind_block(bits)
        self.kept["memory"] += found.registers
        self.logic["memory"] += found.registers

    def _behind_block(self, bits: int) -> None:
        """The second register, which blocks of ECP5 have themselves."""
        self.register(bits * (self.family is not ECP5))

    def _memory(self, found: Placement, bits: int, kind: str, count: int = 1) -> None:
        self.blocks += found.blocks * count
        self.logic[kind] += found.cells * count
        self.logic["chosen"] += found.chosen * count
        self.logic["around blocks"] += bits * bool(found.blocks) * count

    def words(self, words: int, bits: int, empty: int = 0) -> float:
        """A ROM in turn, read ahead; the share of its bits that are kept."""
        self.counter(words)
        self.register(2)
        return self.rom(words, bits, empty=empty)

    def product(self, left: int, right: int, count: float = 1, most: int = 64, held: bool = True) -> None:
        """Of which ``most`` bits are used. In a multiplier of the device, or in LUTs: rows of partial products, added in pairs,
        the pairs then."""
        if not self.has.get("STYLE"):
            self._wide_product(left, right, count)
            return
        wide, pairs = min(left + right, most), ceil(right / 2)
        added = sum(wide - 2 * pair for pair in range(pairs))
        self.logic["paired"] += added * count
        self.logic["gated"] += left * right * count
        self.logic["rows"] += (pairs - 1) * wide * count
        self.kept["products"] += (added + wide + (left + right) * held) * count

    def _wide_product(self, left: int, right: int, count: float) -> None:
        """What no multiplier of the device holds is left to Yosys, with registers of its own."""
        long, short = sorted(self.family.multiplier, reverse=True)
        if max(left, right) > long or min(left, right) > short:
            self.register(3 * (left + right) * count)
            self.logic["joined"] += (left + right if self.family is ECP5 else left * right) * count

    def rounder(self, count: int, wide: int, shift: int, out: int, low: int, high: int) -> None:
        """A tie in what is dropped, what is out of range in what is kept."""
        whole = (low, high) in ((-(1 << (out - 1)), (1 << (out - 1)) - 1), (0, (1 << out) - 1))
        left = wide - shift
        self.logic["ties"] += count * shift
        self.logic["above"] += count * max(left - out, 0)
        self.logic["clipped"] += count * out
        self.logic["rounders"] += count
        if whole:
            self.register((2 * min(out, left) + 2) * count)
        else:
            self.logic["compared"] += 2 * count * max(left, out)
            self.register((max(left, out) + out) * count)

    def tree(self, count: int, terms: int, bits: int, most: int) -> None:
        """``count`` sums of ``terms`` of so many bits each, a level of adders a cycle."""
        while terms > 1:
            bits = min(bits + 1, most)
            self.adder(bits, terms // 2 * count)
            terms -= terms // 2
            self.register(bits * terms * count)
