"""Recognises the complex recurrence: two thresholded states that are rounded sums of each other and one input row.

Nothing but the structure of the graph says so; states that do not fit run as any other sum does.
"""

from __future__ import annotations

import numpy as np

from ..dataflow.rows import ROUND
from ..dataflow.stages import INT16, Slot, Stage, Stages


def complex_pairs(stages: Stages) -> dict[str, tuple[str, str]]:
    """State -> (real, imaginary) for the states that run in place, mode by mode.

    Wanted: both states and what they read fit int16, as do the weights; channel c reads channel c of the two states and
    at most one row besides, the same for both parts; every threshold row is a rounding; nothing else reads the states.
    """
    updates = {stage.output: stage for stage in stages.order}
    place = {stage.output: position for position, stage in enumerate(stages.order)}
    after = stages.successors
    states = sorted((state for state in after if after[state] in place), key=lambda state: place[after[state]])
    found: dict[str, tuple[str, str]] = {}
    for position, re in enumerate(states):
        for im in states[position + 1 :]:
            if re in found or im in found:
                continue
            pair = updates[after[re]], updates[after[im]]
            if _fits(stages, (re, im), pair):
                found[re] = found[im] = (re, im)
    return found


def _fits(stages: Stages, names: tuple[str, str], pair: tuple[Stage, Stage]) -> bool:
    states = [stages.slots[name] for name in names]
    channels = len(states[0].low)
    sizes = [*(len(slot.low) for slot in states), *(len(stage.low) for stage in pair)]
    if set(names) & stages.kept or any(size != channels for size in sizes):
        return False
    for stage in pair:
        if not stage.rows or any(row.kind != ROUND for row in stage.rows):
            return False
        weight = stage.sum.weight
        if np.any(stages.wide[stage.sum.row]) or np.any((weight < INT16.min) | (weight > INT16.max)):
            return False
    # The terms of both parts together.
    channel = np.concatenate([stage.sum.channel for stage in pair])
    rows = np.concatenate([stage.sum.row for stage in pair])
    own = np.zeros(len(rows), bool)
    for slot in states:
        inside = slot.reads(rows)
        if np.any(rows[inside] - slot.first != channel[inside]):
            return False
        own |= inside
    inputs = np.unique(np.stack([channel[~own], rows[~own]], axis=1), axis=0)
    if not np.any(own) or len(np.unique(inputs[:, 0])) != len(inputs):
        return False
    return _only_readers(stages, states, pair) and _may_wait(stages, pair)


def _reads(stages: Stages, stage: Stage, slot: Slot) -> bool:
    if stage.factors:
        return any(stages.slots[name] is slot for name in stage.factors)
    return bool(np.any(slot.reads(stage.sum.row)))


def _only_readers(stages: Stages, states: list[Slot], pair: tuple[Stage, Stage]) -> bool:
    others = [stage for stage in stages.order if stage not in pair]
    return not any(_reads(stages, stage, slot) for stage in others for slot in states)


def _may_wait(stages: Stages, pair: tuple[Stage, Stage]) -> bool:
    """Both parts run where the second stood: nothing up to there may read what the first one computes."""
    first, second = (stages.order.index(stage) for stage in pair)
    result = stages.slots[pair[0].output]
    return not any(_reads(stages, stage, result) for stage in stages.order[first + 1 : second + 1])
