"""A design as instances of library modules and the streams between them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from ..dataflow.ranges import Range
from ..dataflow.recognition import width_of
from .timing import Through


@dataclass(frozen=True)
class Stream:
    """A tensor on its way: ``lanes`` of its ``channels`` a beat, ``bits`` each; ``once``: one step a sequence.

    ``slots``: layers whose tensors follow each other in a step. ``paced``: its reader always takes a beat.
    """

    name: str
    channels: int
    lanes: int
    bits: int
    signed: bool
    once: bool = False
    slots: int = 1
    paced: bool = False

    @property
    def beats(self) -> int:
        return self.channels // self.lanes

    @property
    def width(self) -> int:
        return self.lanes * self.bits

    def named(self, name: str) -> Stream:
        return replace(self, name=name)


def stream_of(name: str, limits: Range, lanes: int, once: bool = False) -> Stream:
    """A stream wide enough for codes in ``limits``."""
    low, high = int(limits[0].min()), int(limits[1].max())
    return Stream(name, len(limits[0]), lanes, width_of(low, high), low < 0, once)


@dataclass(frozen=True, eq=False)
class Rom:
    """The image of a memory: ``words`` of fields, low bits first, ``(words, fields)`` of ``widths``."""

    name: str
    words: np.ndarray
    widths: tuple[int, ...]

    @property
    def bits(self) -> int:
        return sum(self.widths)

    def text(self) -> str:
        """Hexadecimal, a word a line, as $readmemh reads it."""
        digits = -(-self.bits // 4)
        lines = []
        for row in self.words.tolist():
            word, place = 0, 0
            for value, width in zip(row, self.widths, strict=True):
                if not -(1 << width) < value < 1 << width:
                    raise AssertionError(f"{self.name}: {value} does not fit into {width} bits")
                word |= (value & ((1 << width) - 1)) << place
                place += width
            lines.append(f"{word:0{digits}x}")
        return "\n".join(lines) + "\n"


@dataclass(frozen=True, eq=False)
class Cell:
    """An instance of ``module``; ``inputs`` and ``outputs`` by port, in order."""

    name: str
    module: str
    timing: Through
    inputs: dict[str, Stream]
    outputs: dict[str, Stream]
    parameters: dict[str, int] = field(default_factory=dict)
    roms: dict[str, Rom] = field(default_factory=dict)

    @property
    def interval(self) -> int:
        """Cycles of a step."""
        return self.timing.interval(next(iter(self.inputs.values())).beats)
