"""When beats leave a module of the library, cycle by cycle: the one table of latencies and intervals.

``arrivals`` and departures are int64 arrays of the cycles in which beats are there, in order, with nothing waiting behind
them: ``sequences`` of ``steps`` equal steps. What a module has room for is the business of those who choose the room.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..dataflow.hardware import SCAN_LOOP

# Of ssmq_scan: cycles of a beat beside its groups of modes.
SCAN_LATENCY = 16


def serial(earliest: np.ndarray, spacing: np.ndarray | int = 1) -> np.ndarray:
    """The first cycles not before ``earliest`` that lie ``spacing`` apart; of an array, entry i is the gap behind beat i."""
    gaps = np.broadcast_to(spacing, earliest.shape)
    offset = np.concatenate([[0], np.cumsum(gaps[:-1])])
    return np.maximum.accumulate(earliest - offset) + offset


@dataclass(frozen=True)
class Through:
    """A beat in, a beat out."""

    latency: int

    @property
    def uneven(self) -> bool:
        """Whether it may keep a beat waiting although it is no slower than what comes, so that others behind it wait too."""
        return False

    def taken(self, arrivals: np.ndarray) -> np.ndarray:
        """When beats are taken that have arrived."""
        return arrivals

    def departures(self, arrivals: np.ndarray, sequences: int) -> np.ndarray:
        """When beats leave."""
        return arrivals + self.latency

    def interval(self, beats: int) -> int:
        """Cycles of a step of ``beats`` incoming beats."""
        return beats


@dataclass(frozen=True)
class Several(Through):
    """``count`` beats in, one out, after the last of them."""

    count: int = 1

    def departures(self, arrivals, sequences):
        return arrivals[self.count - 1 :: self.count] + self.latency


@dataclass(frozen=True)
class Parts(Through):
    """One beat in, ``count`` out."""

    count: int = 1

    @property
    def uneven(self):
        return True

    def taken(self, arrivals):
        return serial(arrivals, self.count)

    def departures(self, arrivals, sequences):
        taken = self.taken(arrivals)
        return (taken[:, None] + self.latency + np.arange(self.count)).reshape(-1)

    def interval(self, beats):
        return beats * self.count


@dataclass(frozen=True)
class Replayed(Through):
    """A step's ``beats``, ``passes`` times over."""

    beats: int = 1
    passes: int = 1

    def departures(self, arrivals, sequences):
        there = np.repeat(arrivals.reshape(-1, 1, self.beats), self.passes, axis=1)
        return serial(there.reshape(-1) + self.latency)

    def interval(self, beats):
        return beats * self.passes


@dataclass(frozen=True)
class Scanned(Through):
    """``beats`` a step, each ``groups`` cycles long, and no step shorter than the loop through its states."""

    beats: int = 1
    groups: int = 1

    @property
    def uneven(self):
        return self.beats > 1 and self.beats * self.groups < SCAN_LOOP

    def taken(self, arrivals):
        gaps = np.full(self.beats, self.groups)
        gaps[-1] += max(0, SCAN_LOOP - self.beats * self.groups)
        return serial(arrivals, np.tile(gaps, len(arrivals) // self.beats))

    def departures(self, arrivals, sequences):
        return self.taken(arrivals) + self.latency + self.groups

    def interval(self, beats):
        return max(beats * self.groups, SCAN_LOOP)


@dataclass(frozen=True)
class LastStep(Through):
    """Of every sequence the last ``beats`` leave."""

    beats: int = 1

    def departures(self, arrivals, sequences):
        return arrivals.reshape(sequences, -1)[:, -self.beats :].reshape(-1) + self.latency


@dataclass(frozen=True)
class Looped(Through):
    """A layer that is ``slots`` of them, ``beats`` each: a beat every ``gap`` cycles, ``idle`` more behind a slot."""

    slots: int = 2
    beats: int = 1
    gap: int = 1
    idle: int = 0

    def interval(self, beats):
        return self.slots * self.slot

    @property
    def slot(self) -> int:
        return self.beats * self.gap + self.idle

    def issued(self, arrivals: np.ndarray, sequences: int) -> tuple[np.ndarray, np.ndarray]:
        """When beats of every slot leave into the layer, and those of steps that have been through all of it.

        A step that is late makes all slots wait, at the end of a sequence a hollow one takes its place while others are on
        their way. A step that is through leaves when slot 0 begins.
        """
        steps = arrivals.reshape(-1, self.beats)
        each, place = len(steps) // sequences, np.arange(self.beats)
        rest = self.slot + self.gap * place + self.slot * np.arange(self.slots - 1)[:, None]
        solid, taken, shown, free, begun, k = [False] * (self.slots + 1), [], [], 0, 0, 0
        while True:
            if solid[-1]:
                shown.append(begun + place)
            pending = any(solid[:-1])
            if k == len(steps) and not pending:
                break
            hollow = k == len(steps) or (k % each == 0 and pending and steps[k, 0] > free)
            first = free + self.gap * place if hollow else serial(np.maximum(steps[k], free), self.gap)
            k += not hollow
            solid = [not hollow, *solid[:-1]]
            others = first[-1] - (self.beats - 1) * self.gap + rest
            taken += [first, others.reshape(-1)]
            # A cycle passes between two slots.
            begun = int(others[-1, -1]) + 2
            free = begun + self.gap + self.idle - 2
        return np.concatenate(taken) + self.latency, np.concatenate(shown)
