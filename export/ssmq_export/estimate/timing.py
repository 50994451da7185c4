"""How fast a recurrence can step: the interval of the slowest node, or the loop through a state, whichever is longer.

Step t + 1 cannot touch a mode before x(t) of that mode is back. The modes of a layer pass one after another, so by the
time the sweep is over the first one is long back: the loop costs nothing as long as the sweep is the longer of the two.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..dataflow.states import successor
from .cost import SCAN_LOOP, Folding, cycles, latency
from .work import Work


@dataclass(frozen=True)
class Timing:
    """Cycles. ``interval``: of the slowest node, ``slowest``. ``loop``: the longest way from a state to a state that
    leads back to it. ``fill``: from the first input to the logits, through every buffer on the way."""

    interval: int
    slowest: str
    loop: int
    fill: int

    @property
    def per_step(self) -> int:
        return max(self.interval, self.loop)

    def per_sequence(self, length: int) -> int:
        return length * self.per_step + self.fill


def timing(works: list[Work], foldings: list[Folding]) -> Timing:
    """Timing of all nodes at their foldings."""
    spans = [cycles(work, folding) for work, folding in zip(works, foldings, strict=True)]
    slowest = max(range(len(works)), key=spans.__getitem__)
    delays = {w.name: latency(w, f) for w, f in zip(works, foldings, strict=True)}
    fill = max(_longest(works, delays, None).values())
    return Timing(spans[slowest], works[slowest].name, _loop(works, delays), fill)


def _longest(works: list[Work], delays: dict[str, int], start: str | None) -> dict[str, int]:
    """Longest latency to every tensor from the tensor ``start``, or from all inputs if None."""
    buffered = {work.output: delays[work.name] for work in works if work.kind == "fork"}
    reached: dict[str, int] = {} if start is None else {start: 0}
    for work in works:
        if work.kind in ("state", "fork"):
            continue
        arrivals = [reached[name] for name in work.inputs if name in reached]
        if arrivals or start is None:
            reached[work.output] = max(arrivals, default=0) + delays[work.name] + buffered.get(work.output, 0)
    return reached


def _loop(works: list[Work], delays: dict[str, int]) -> int:
    states = {work.output: delays[work.name] for work in works if work.kind == "state"}
    reached = {state: _longest(works, delays, state) for state in states}
    loops = [
        reached[first][successor(second)] + states[second]
        for first in states
        for second in states
        if successor(second) in reached[first] and successor(first) in reached[second]
    ]
    return max([*loops, *(SCAN_LOOP for work in works if work.kind == "scan")], default=0)
