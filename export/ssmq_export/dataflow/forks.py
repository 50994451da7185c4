"""Tensors with several readers, and which of them must be kept until their ways meet again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .operation import Operation

SUMS = ("gather", "dense", "scan")


@dataclass(frozen=True)
class Way:
    """A node as ways pass it: ``sums`` says that no output is there before all channels are."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    sums: bool


def forks(operations: list[Operation], outputs: list[str]) -> dict[str, bool]:
    """Tensors that several operations read, or one and the outside, and whether they wait for their own sums (a residual)."""
    readers: dict[str, int] = {}
    for operation in operations:
        for name in operation.inputs:
            readers[name] = readers.get(name, 0) + 1
    made = {operation.output for operation in operations}
    counts = {name: count + (name in outputs and name in made) for name, count in readers.items()}
    ways = [Way(operation.inputs, (operation.output,), operation.kind in SUMS) for operation in operations]
    return {name: meets_later(name, ways) is not None for name, count in counts.items() if count > 1}


def meets_later(tensor: str, ways: Iterable[Way]) -> int | None:
    """Number of the first node where two ways from ``tensor`` join of which one passes more sums over channels.

    Ways that share a reader part at a later fork, and the buffer is that one's.
    """
    reached: dict[str, tuple[frozenset[int], int]] = {}
    for number, way in enumerate(ways):
        passing = [(frozenset({number}), 0) if name == tensor else reached.get(name) for name in way.inputs]
        found = [one for one in passing if one is not None]
        if any(one[1] != other[1] and not one[0] & other[0] for one, other in combinations(found, 2)):
            return number
        if found:
            sums = max(passed for _, passed in found) + way.sums
            readers = frozenset(reader for readers, _ in found for reader in readers)
            reached.update(dict.fromkeys(way.outputs, (readers, sums)))
    return None
