"""What a task is trained by and judged by: the loss of a batch, and the score of a model on a split."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

from .errors import SsmqError
from .model import Model
from .task import IGNORED, Task


def loss_of(task: Task, outputs: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """The mean loss of a batch: cross entropy of its sequences or of its steps that have a label, or squared error.

    ``outputs`` ``(B, K)`` or, of every step, ``(B, T, K)``.
    """
    outputs = outputs.float()
    if task.kind == "regression":
        return F.mse_loss(outputs, y.reshape(outputs.shape))
    if task.kind == "sequence":
        return F.cross_entropy(outputs, y)
    total = F.cross_entropy(outputs.flatten(0, 1), y.flatten(), ignore_index=IGNORED, reduction="sum")
    return total / (y != IGNORED).sum().clamp(min=1)


@dataclass(frozen=True)
class Score:
    """``value`` is that of the task's metric. ``correct`` of ``count`` are right, of a regression ``count`` numbers told.

    A regression has the mean absolute error ``mae`` too and ``r2``, the share of the variance that is told; None where the
    numbers to be told are all the same.
    """

    task: Task
    value: float
    count: int
    correct: int | None = None
    mae: float | None = None
    r2: float | None = None

    def __str__(self) -> str:
        if self.task.classifies:
            return self.task.shown(self.value) + (" of the steps" if self.task.each_step else "")
        assert self.mae is not None
        told = "" if self.r2 is None else f", R² {self.r2:.4f}"
        return f"{self.task.metric} {self.task.shown(self.value)}, MAE {self.task.shown(self.mae)}{told}"

    def as_dict(self) -> dict[str, float | None]:
        """JSON: ``accuracy``, or ``rmse``, ``mae`` and ``r2``."""
        if self.task.classifies:
            return {"accuracy": self.value}
        return {"rmse": self.value, "mae": self.mae, "r2": self.r2}


class Tally:
    """What outputs are worth, batch by batch. Numbers are summed exactly: every machine finds what a card says."""

    def __init__(self, task: Task):
        self.task = task
        self.correct = self.count = 0
        self.errors: list[np.ndarray] = []
        self.told: list[np.ndarray] = []

    def add(self, outputs: np.ndarray, y: np.ndarray) -> None:
        """``outputs`` ``(B, K)`` or, of every step, ``(B, T, K)``; what they should be, as ``SequenceData`` has it."""
        if self.task.classifies:
            counted = y != IGNORED
            self.correct += int(((outputs.argmax(axis=-1) == y) & counted).sum())
            self.count += int(counted.sum())
        else:
            wanted = y.reshape(-1, outputs.shape[-1]).astype(np.float64)
            self.errors.append(outputs.reshape(wanted.shape) - wanted)
            self.told.append(wanted)
            self.count += wanted.size

    def score(self) -> Score:
        if self.task.classifies:
            return Score(self.task, self.correct / self.count, self.count, self.correct)
        errors, told = np.concatenate(self.errors), np.concatenate(self.told)
        squares = _sum(errors**2)
        means = np.array([_sum(column) for column in told.T]) / len(told)
        spread = _sum((told - means) ** 2)
        r2 = 1 - squares / spread if spread else None
        return Score(self.task, math.sqrt(squares / self.count), self.count, None, _sum(np.abs(errors)) / self.count, r2)


def _sum(values: np.ndarray) -> float:
    return math.fsum(values.ravel().tolist())


def score(model: Model, x: torch.Tensor, y: torch.Tensor, batch: int = 250) -> Score:
    """The score of ``model`` in evaluation mode on codes ``x`` ``(n, T)`` or ``(n, T, C)`` and what they should give, ``y``.

    Raises SsmqError for a model whose outputs are not finite: the largest of them says nothing.
    """
    was_training, device = model.training, next(model.parameters()).device
    model.eval()
    tally = Tally(model.task)
    with torch.no_grad():
        for start in range(0, len(y), batch):
            outputs = model(x[start : start + batch].to(device))
            if not outputs.isfinite().all():
                raise SsmqError(
                    "the model's outputs are not finite, its weights are too large: train it at a lower learning_rate"
                )
            tally.add(outputs.cpu().numpy(), y[start : start + batch].numpy())
    model.train(was_training)
    return tally.score()
