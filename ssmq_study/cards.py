"""Model cards: what a quantised checkpoint is and does. Every model of the zoo has one.

A card is NAME.json beside NAME.safetensors. It holds the numbers measured on each data set by the integer engine; the
hash of a data set covers all its splits, so a number is compared with no other data than its own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_serializer, model_validator
from ssmq_brevitas.config import Config
from ssmq_brevitas.data import SequenceData
from ssmq_brevitas.errors import SsmqError
from ssmq_brevitas.files import write_whole
from ssmq_brevitas.model import Model

from .json_file import Amount, Count, Name, Several, Text, problem, read_json
from .quoted import score_on_integers


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Errors(_Section):
    """Of a regression: root mean square, mean absolute, and the share of the variance that is told."""

    rmse: Amount
    mae: Amount
    r2: Annotated[float, Field(le=1)] | None


class Measured(_Section):
    """Test sequences (``images``) of one data set, and how the integer engine does on them: how many it classifies
    correctly, or how many of the ``steps`` that have a class; or the ``errors`` of a regression."""

    data: dict[Name, Name | Count]
    data_hash: Name
    images: Several
    steps: Several | None = None
    correct: Count | None = None
    errors: Errors | None = None

    @model_validator(mode="after")
    def _a_share_of_named_data(self) -> Self:
        if (self.correct is None) == (self.errors is None):
            raise ValueError("one of correct and errors is wanted, not both or none")
        if self.correct is not None and self.correct > self.counted:
            raise ValueError(f"correct: {self.correct} are more than the {self.counted} {'steps' if self.steps else 'images'}")
        if "name" not in self.data:
            raise ValueError("data: its name is missing")
        return self

    @model_serializer(mode="wrap")
    def _as_it_applies(self, write) -> dict:
        return {key: value for key, value in write(self).items() if value is not None}

    @property
    def counted(self) -> int:
        return self.steps or self.images

    @property
    def accuracy(self) -> float:
        """Of a classification."""
        assert self.correct is not None
        return self.correct / self.counted

    def numbers(self) -> dict[str, int | float | None]:
        """What was found, as JSON."""
        if self.errors is not None:
            return {"images": self.images, **self.errors.model_dump()}
        steps = {} if self.steps is None else {"steps": self.steps}
        return {"images": self.images, **steps, "correct": self.correct, "accuracy": self.accuracy}

    def __str__(self) -> str:
        if self.errors is not None:
            return f"RMSE {self.errors.rmse:.6g}, MAE {self.errors.mae:.6g} on {self.images:,} test sequences"
        what = "test images" if self.steps is None else f"steps of {self.images:,} test sequences"
        return f"{self.correct:,} of {self.counted:,} {what}, {100 * self.accuracy:.2f} %"


class Card(_Section):
    """``command`` made the model; ``trained_on`` and ``seed`` are what its checkpoint says."""

    name: Name
    command: Text
    seed: int | None
    trained_on: dict[Name, Name | Count]
    config: Config
    bytes: dict[Name, Amount]
    measured: list[Measured]

    @model_validator(mode="after")
    def _total_is_told(self) -> Self:
        if "total" not in self.bytes:
            raise ValueError("bytes: the total is missing")
        return self

    @model_validator(mode="after")
    def _numbers_are_of_its_task(self) -> Self:
        task = self.config.task
        for entry in self.measured:
            if (entry.correct is None) == task.classifies or (entry.steps is None) == (task.kind == "step"):
                raise ValueError(f"measured: not what a model of kind {task.kind} is measured by")
        return self

    def on(self, data_hash: str) -> Measured | None:
        """The number for a data set, if there is one."""
        return next((entry for entry in self.measured if entry.data_hash == data_hash), None)


def load_card(checkpoint: Path) -> Card | None:
    """The card beside a checkpoint, if there is one. Raises SsmqError for one that is damaged."""
    path = checkpoint.with_suffix(".json")
    if not path.is_file():
        return None
    return read_json(path, Card, "a model card")


def measure(model: Model, data: SequenceData) -> Measured:
    """Run all test sequences on the integer engine."""
    found = score_on_integers(model, data.x_test, data.y_test)
    errors = None if model.task.classifies else Errors.model_validate(found.as_dict())
    return Measured(
        data=data.describe(),
        data_hash=data.digest,
        images=len(data.y_test),
        steps=found.count if model.task.kind == "step" else None,
        correct=found.correct,
        errors=errors,
    )


def write_card(checkpoint: Path, loaded: tuple[Model, dict], command: str, found: Measured) -> Card:
    """Write the card of a checkpoint that was ``loaded``, or add a data set to the one it has."""
    model, note = loaded
    before = load_card(checkpoint)
    others = [entry for entry in (before.measured if before else []) if entry.data_hash != found.data_hash]
    try:
        card = Card(
            name=checkpoint.stem,
            command=command,
            seed=note.get("seed"),
            trained_on=note.get("data", {}),
            config=model.config,
            bytes=model.footprint().as_dict(),
            measured=[*others, found],
        )
    except ValidationError as error:
        raise SsmqError(f"{checkpoint}: no card can be made of its note and {command!r}: {problem(error)}") from error
    write_whole(checkpoint.with_suffix(".json"), (card.model_dump_json(indent=2) + "\n").encode())
    return card
