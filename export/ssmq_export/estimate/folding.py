"""Parallelism: sequential by default, or chosen greedily for a rate or for a part.

The slowest node gets the next larger number of lanes that divides its channels, again and again, until the rate holds
or the part is full. When the part's hardware multipliers run out, the narrowest products move into LUTs.
"""

from __future__ import annotations

from dataclasses import replace

from ..errors import ExportError
from .cost import Folding, cycles, resources
from .parts import RESOURCES, Part
from .primitives import Cost
from .timing import timing
from .work import Work


def sequential(works: list[Work]) -> list[Folding]:
    """One operation a cycle in every node."""
    return [Folding((1,) * len(work.dims)) for work in works]


def widened(work: Work, folding: Folding) -> Folding | None:
    """The next larger folding, inputs of a sum first as FINN does it; None if the node is fully parallel."""
    for axis in reversed(range(len(work.dims))):
        lanes, size = folding.lanes[axis], work.dims[axis]
        larger = next((n for n in range(max(2 * lanes, 2), size + 1) if size % n == 0 and n % lanes == 0), None)
        if larger:
            return replace(folding, lanes=(*folding.lanes[:axis], larger, *folding.lanes[axis + 1 :]))
    return None


def shortage(cost: Cost, part: Part) -> str | None:
    """The resource that the part has least of by comparison, if it has too little of any."""
    name = max(RESOURCES, key=lambda resource: getattr(cost, resource) / getattr(part, resource))
    return name if getattr(cost, name) > getattr(part, name) else None


def fold_for_rate(works: list[Work], part: Part, length: int, clock_mhz: float, fps: float) -> list[Folding]:
    """Foldings at which ``fps`` sequences of ``length`` steps a second hold. Raises ExportError naming what limits."""
    foldings = fitted(works, sequential(works), part)
    while True:
        now = timing(works, foldings)
        rate = clock_mhz * 1e6 / now.per_sequence(length)
        if rate >= fps:
            return foldings
        told = f"{fps:g} sequences a second at {clock_mhz:g} MHz are out of reach ({rate:.4g} with the last folding)"
        if now.loop >= now.interval:
            raise ExportError(
                f"{told}: a state is back only after {now.loop} cycles, which more lanes cannot shorten; raise --clock"
            )
        wider = _widen_slowest(works, foldings)
        if wider is None:
            raise ExportError(f"{told}: {now.slowest} is fully parallel; raise --clock")
        foldings = fitted(works, wider, part, told)


def fold_for_part(works: list[Work], part: Part) -> list[Folding]:
    """The fastest foldings that fit ``part``. Raises ExportError if not even the sequential one does."""
    foldings = fitted(works, sequential(works), part)
    while True:
        now = timing(works, foldings)
        wider = _widen_slowest(works, foldings)
        if now.loop >= now.interval or wider is None:
            return foldings
        try:
            foldings = fitted(works, wider, part)
        except ExportError:
            return foldings


def _widen_slowest(works: list[Work], foldings: list[Folding]) -> list[Folding] | None:
    """All nodes as slow as the slowest, one lane count further; None if one of them cannot."""
    spans = [cycles(work, folding) for work, folding in zip(works, foldings, strict=True)]
    slowest = max(spans)
    wider = []
    for work, folding, span in zip(works, foldings, spans, strict=True):
        found = widened(work, folding) if span == slowest else folding
        if found is None:
            return None
        wider.append(found)
    return wider


def fitted(works: list[Work], foldings: list[Folding], part: Part, told: str = "") -> list[Folding]:
    """``foldings`` with as many products moved into LUTs as the multipliers ask for. ExportError if they do not fit."""
    foldings = list(foldings)
    costs = [resources(w, f, part.family) for w, f in zip(works, foldings, strict=True)]
    cost = sum(costs, Cost())
    # One node changes at a time, and the sum with it: adding all up again is quadratic in the layers.
    for index in sorted((i for i, c in enumerate(costs) if c.dsp), key=lambda i: works[i].left * works[i].right):
        if cost.dsp <= part.dsp:
            break
        foldings[index] = replace(foldings[index], use_dsp=False)
        moved = resources(works[index], foldings[index], part.family)
        cost += moved + costs[index] * -1
        costs[index] = moved
    lacking = shortage(cost, part)
    if lacking is None:
        return foldings
    spent = [getattr(c, lacking) for c in costs]
    most = works[max(range(len(works)), key=spent.__getitem__)].name
    raise ExportError(
        f"{told + ': ' if told else ''}{part.name} has {getattr(part, lacking):,} {lacking.upper()} and "
        f"{getattr(cost, lacking):,} are needed, most of them by {most}; take a larger part or a lower --fps, or "
        f"narrow the widths"
    )
