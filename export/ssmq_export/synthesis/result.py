"""What ``ssmq synth`` has measured: ``result.json``."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Use(_Entry):
    """A resource without what the harness takes. ``available``: None where it is part of another one, such as a carry."""

    resource: str
    used: int
    available: int | None
    estimated: int | None


class Routed(_Entry):
    """One seed of the placer."""

    seed: int
    mhz: float
    seconds: float


class Stretch(_Entry):
    """A stretch of a path in one instance; nanoseconds in cells and in wires."""

    instance: str
    module: str
    logic: float
    routing: float


class Simulated(_Entry):
    """The netlist against the graph."""

    sequences: int
    codes: int
    differing: int
    cycles: int
    expected_cycles: int


class Result(_Entry):
    """``clock``: MHz that were asked for. ``routed``: all seeds, the ``best`` one's path and ``bitstream`` are kept; none of
    a family without open tools to place it. ``harness``: what is around the design for its pins, not in ``uses``.
    ``packed``: registers that went into block RAMs. Cycles are those of the manifest, a rate that of sequences which follow
    each other."""

    version: Literal[1] = 1
    top: str
    shape: str
    part: str
    family: str
    tools: list[str]
    clock: float | None
    uses: list[Use]
    harness: dict[str, int]
    packed: int
    routed: list[Routed]
    best: int | None
    mhz: float | None
    path: list[Stretch]
    bitstream: str | None
    bytes: int | None
    interval: int
    cycles: int | None
    further: int | None
    sequences_per_second: float | None
    microseconds: float | None
    simulated: Simulated | None

    @property
    def in_time(self) -> bool:
        return self.clock is None or self.mhz is None or self.mhz >= self.clock

    @property
    def agrees(self) -> bool:
        found = self.simulated
        return found is None or (not found.differing and found.cycles == found.expected_cycles)

    def limit(self) -> Stretch | None:
        """Where the path is longest."""
        return max(self.path, key=lambda part: part.logic + part.routing, default=None)
