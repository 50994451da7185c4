"""What a model tells of a sequence, and all that depends on it: which data it needs and what it is judged by.

The loss and the numbers themselves are in ``score``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, Self

from pydantic import model_validator

from .errors import SsmqError
from .section import Section

if TYPE_CHECKING:
    from .data import SequenceData

# The label of a step of which nothing is to be told.
IGNORED = -1
# By kind: the metric, and its key in JSON.
METRICS = {"sequence": ("accuracy", "accuracy"), "step": ("accuracy per step", "accuracy"), "regression": ("RMSE", "rmse")}


class Task(Section):
    """``kind``: the class of a ``sequence``, that of every ``step``, or ``regression``, numbers.

    A regression gives its numbers once a sequence, or with ``every_step`` at every step. It is trained on their squared
    errors as they are: numbers far from 1 should be scaled.
    """

    kind: Literal["sequence", "step", "regression"] = "sequence"
    every_step: bool = False

    @model_validator(mode="after")
    def _steps_are_said_once(self) -> Self:
        if self.every_step and self.kind != "regression":
            raise ValueError('every_step is for kind = "regression"; kind = "step" tells a class at every step')
        return self

    @property
    def each_step(self) -> bool:
        """Whether an output counts at every step, not at the end of a sequence alone."""
        return self.kind == "step" or self.every_step

    @property
    def classifies(self) -> bool:
        return self.kind != "regression"

    @property
    def metric(self) -> str:
        return METRICS[self.kind][0]

    @property
    def key(self) -> str:
        return METRICS[self.kind][1]

    def shown(self, value: float) -> str:
        """A value of the metric, for people."""
        return f"{100 * value:.2f} %" if self.classifies else f"{value:.4g}"

    def problem_with(self, data: SequenceData, outputs: int) -> tuple[str, str] | None:
        """What keeps ``data`` from a model of this task with so many ``outputs``, and the key that says so; None if nothing.

        The kind of the labels comes first: what they are decides how they are counted.
        """
        y, wanted = data.y_train, f'task.kind "{self.kind}"'
        if y.is_floating_point() == self.classifies:
            found, other = ("numbers", "np.int64") if self.classifies else ("classes", "np.float32")
            return f"y are {found}, which is not what {wanted} tells (or give y.astype({other}))", "task.kind"
        if self.classifies:
            if self.each_step != (y.dim() == 2):
                return (
                    f"y are a class a {'step' if y.dim() == 2 else 'sequence'}, which is not what {wanted} tells",
                    "task.kind",
                )
            if data.classes > outputs:
                return f"the model has {outputs} classes, the data has {data.classes}", "classes"
            return None
        steps = y.shape[1:2] == (data.length,)
        if self.each_step and not steps or not self.each_step and y.dim() == 3:
            told, meant = ("step", "sequence") if self.each_step else ("sequence", "step")
            return f"y {tuple(y.shape)} are numbers a {meant}, the model tells numbers a {told}", "task.every_step"
        numbers = math.prod(y.shape[1 + self.each_step :])
        if numbers != outputs:
            keys = "classes, or task.every_step" if steps and not self.each_step else "classes"
            return f"the model tells {outputs} numbers, the data has {numbers}", keys
        return None

    def refuse_shift(self, shift: int) -> None:
        """Raise SsmqError if moved sequences would have labels that stay where they are."""
        if shift and self.each_step:
            raise SsmqError("shift moves sequences, but not what is to be told of their steps: set it to 0")
