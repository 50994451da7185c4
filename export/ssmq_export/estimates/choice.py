"""Parallelism: what the graph keeps, else sequential, or chosen greedily for a rate or for a part.

The slowest node gets the next larger number of lanes that divides its channels, again and again, until the rate holds
or the part is full. When the part's hardware multipliers run out, the narrowest products move into LUTs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from ..dataflow.folding import Folding, cycles, memory_folding
from ..dataflow.graph import DataflowGraph
from ..dataflow.operation import Operation
from ..errors import ExportError
from ..rtl.multipliers import in_luts
from ..rtl.netlist import Cell
from .calibration import is_calibrated, total
from .cost import resources
from .parts import RESOURCES, Family, Part
from .primitives import Cost
from .timing import Timing, cells_of, timing


@dataclass(frozen=True)
class Folded:
    """A graph and the foldings of its nodes; the memories between them follow."""

    graph: DataflowGraph
    nodes: tuple[Folding, ...]

    @property
    def operations(self) -> list[Operation]:
        """Those of the nodes, then the memories."""
        return [*self.graph.operations, *self.graph.memories]

    @cached_property
    def foldings(self) -> list[Folding]:
        """One an operation."""
        return [*self.nodes, *self._memories]

    @cached_property
    def _memories(self) -> list[Folding]:
        longest = max(cycles(operation, fold) for operation, fold in zip(self.graph.operations, self.nodes, strict=True))
        return [memory_folding(memory, longest) for memory in self.graph.memories]

    @property
    def spans(self) -> list[int]:
        """Cycles of each operation, memories as fast as they are folded."""
        memories = zip(self.graph.memories, self._memories, strict=True)
        return [*self.timing.spans, *(cycles(memory, fold) for memory, fold in memories)]

    @cached_property
    def timing(self) -> Timing:
        return timing(self.graph, self.nodes, self._memories)

    @cached_property
    def cells(self) -> list[list[Cell]]:
        """The RTL of each operation of a sequence graph; what is kept between operations lies in that of its reader."""
        return cells_of(self.timing.design, self.graph.operations) if self.timing.design is not None else []

    def costs(self, family: Family) -> list[Cost]:
        """Resources of each operation, memories left out where the RTL of the nodes holds them."""
        if self.cells and is_calibrated(family):
            return [total(cells, family) for cells in self.cells]
        return [resources(o, f, family) for o, f in zip(self.operations, self.foldings, strict=True)]

    def in_luts(self, index: int, family: Family) -> Cost:
        """Resources of an operation if its products are in LUTs."""
        if self.cells and is_calibrated(family):
            return total(map(in_luts, self.cells[index]), family)
        return resources(self.operations[index], replace(self.foldings[index], use_dsp=False), family)


def sequential(graph: DataflowGraph) -> Folded:
    """One operation a cycle in every node."""
    return Folded(graph, tuple(Folding((1,) * len(operation.dims)) for operation in graph.operations))


def widened(operation: Operation, folding: Folding) -> Folding | None:
    """The next larger folding, inputs of a sum first as FINN does it; None if the node is fully parallel."""
    for axis in reversed(range(len(operation.dims))):
        lanes, size = folding.lanes[axis], operation.dims[axis]
        larger = next((n for n in range(max(2 * lanes, 2), size + 1) if size % n == 0 and n % lanes == 0), None)
        if larger:
            return replace(folding, lanes=(*folding.lanes[:axis], larger, *folding.lanes[axis + 1 :]))
    return None


def shortage(cost: Cost, part: Part) -> str | None:
    """The resource that the part has least of by comparison, if it has too little of any."""
    lacking = [name for name in RESOURCES if getattr(cost, name) > getattr(part, name)]
    return max(lacking, key=lambda name: getattr(cost, name) / max(getattr(part, name), 1), default=None)


def fold_for_rate(graph: DataflowGraph, part: Part, clock_mhz: float, fps: float) -> Folded:
    """Foldings at which ``fps`` sequences a second hold. Raises ExportError naming what limits."""
    folded = fitted(sequential(graph), part)
    while True:
        now = folded.timing
        rate = clock_mhz * 1e6 / now.of_sequence(graph.steps)[1]
        if rate >= fps:
            return folded
        told = f"{fps:g} sequences a second at {clock_mhz:g} MHz are out of reach ({rate:.4g} with the last folding)"
        if now.loop >= now.interval:
            raise ExportError(
                f"{told}: a state is back only after {now.loop} cycles, which more lanes cannot shorten; raise the clock"
            )
        wider = _widen_slowest(folded)
        if wider is None:
            limit = "is fully parallel" if now.interval in now.spans else "passes one channel a cycle"
            raise ExportError(f"{told}: {now.slowest} {limit}; raise the clock")
        folded = fitted(wider, part, told)


def fold_for_part(graph: DataflowGraph, part: Part) -> Folded:
    """The fastest foldings that fit ``part``. Raises ExportError if not even the sequential one does."""
    *_, fastest = foldings_for_part(graph, part)
    return fastest


def foldings_for_part(graph: DataflowGraph, part: Part) -> Iterator[Folded]:
    """From the sequential folding on, each a step faster than the one before, as long as they fit ``part``.

    Raises ExportError if not even the sequential one does.
    """
    folded = fitted(sequential(graph), part)
    while True:
        yield folded
        wider = _widen_slowest(folded)
        if folded.timing.loop >= folded.timing.interval or wider is None:
            return
        try:
            folded = fitted(wider, part)
        except ExportError:
            return


def _widen_slowest(folded: Folded) -> Folded | None:
    """All nodes as slow as the slowest, one lane count further; None if one of them cannot, or if a port is slower."""
    slowest, spans = folded.timing.interval, folded.timing.spans
    if slowest not in spans:
        return None
    wider = []
    for operation, folding, span in zip(folded.graph.operations, folded.nodes, spans, strict=True):
        found = widened(operation, folding) if span == slowest else folding
        if found is None:
            return None
        wider.append(found)
    return Folded(folded.graph, tuple(wider))


def fitted(folded: Folded, part: Part, told: str = "") -> Folded:
    """With as many products moved into LUTs as the multipliers ask for. ExportError if it does not fit."""
    nodes, operations = list(folded.nodes), folded.operations
    costs = folded.costs(part.family)
    cost = sum(costs, Cost())
    # One node changes at a time, and the sum with it: adding all up again is quadratic in the layers.
    for index in sorted((i for i, c in enumerate(costs) if c.dsp), key=lambda i: _narrowness(operations[i])):
        if cost.dsp <= part.dsp:
            break
        nodes[index] = replace(nodes[index], use_dsp=False)
        moved = folded.in_luts(index, part.family)
        cost += moved + costs[index] * -1
        costs[index] = moved
    lacking = shortage(cost, part)
    if lacking is None:
        return Folded(folded.graph, tuple(nodes))
    spent = [getattr(c, lacking) for c in costs]
    most = operations[max(range(len(spent)), key=spent.__getitem__)].name
    raise ExportError(
        f"{told + ': ' if told else ''}{part.name} has {getattr(part, lacking):,} {lacking.upper()} and "
        f"{getattr(cost, lacking):,} are needed, most of them by {most}; take a larger part or a lower rate, or "
        f"narrow the widths"
    )


def _narrowness(operation: Operation) -> int:
    return max(part.left * part.right for part in operation.parts)
