"""How fast a recurrence can step: the interval of the slowest node, or the loop through a state, whichever is longer.

Step t + 1 cannot touch a mode before x(t) of that mode is back. The modes of a layer pass one after another, so by the
time the sweep is over the first one is long back: the loop costs nothing as long as the sweep is the longer of the two.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..dataflow.folding import Folding, cycles, latency
from ..dataflow.hardware import loop_latency
from ..dataflow.operation import Operation


@dataclass(frozen=True)
class Timing:
    """Cycles. ``interval``: of the slowest node, ``slowest``. ``loop``: the longest way from a state to a state that
    leads back to it. ``fill``: from the first input, or the states beside it, to the output, through every buffer on the
    way."""

    interval: int
    slowest: str
    loop: int
    fill: int

    @property
    def per_step(self) -> int:
        return max(self.interval, self.loop)

    def per_sequence(self, length: int) -> int:
        return length * self.per_step + self.fill


def timing(operations: list[Operation], foldings: list[Folding], successors: dict[str, str]) -> Timing:
    """Timing of all operations, memories included, at their foldings; ``successors`` of the ports that are kept."""
    spans = [cycles(operation, folding) for operation, folding in zip(operations, foldings, strict=True)]
    slowest = max(range(len(operations)), key=spans.__getitem__)
    delays = {o.name: latency(o, f) for o, f in zip(operations, foldings, strict=True)}
    computed = {operation.output for operation in operations if operation.inputs}
    ports = {name for operation in operations for name in operation.inputs} - computed
    fill = max(_longest(operations, delays, ports).values())
    return Timing(spans[slowest], operations[slowest].name, _loop(operations, delays, successors), fill)


def _longest(operations: list[Operation], delays: dict[str, int], starts: Iterable[str]) -> dict[str, int]:
    """Longest latency to every tensor behind one of ``starts``, their own forks included."""
    buffered = {operation.output: delays[operation.name] for operation in operations if operation.kind == "fork"}
    reached = {name: buffered.get(name, 0) for name in starts}
    for operation in operations:
        arrivals = [reached[name] for name in operation.inputs if name in reached]
        if arrivals:
            reached[operation.output] = max(arrivals) + delays[operation.name] + buffered.get(operation.output, 0)
    return reached


def _loop(operations: list[Operation], delays: dict[str, int], successors: dict[str, str]) -> int:
    kept = [operation for operation in operations if operation.kind == "state" and operation.output in successors]
    states = {operation.output: delays[operation.name] for operation in kept}
    reached = {state: _longest(operations, delays, [state]) for state in states}
    loops = [
        reached[first][successors[second]] + states[second]
        for first in states
        for second in states
        if successors[second] in reached[first] and successors[first] in reached[second]
    ]
    scans = [loop_latency(operation.shape.choices[-1]) for operation in operations if operation.kind == "scan"]
    return max([*loops, *scans], default=0)
