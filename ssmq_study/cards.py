"""Model cards: what a quantised checkpoint is and does. Every model of the zoo has one.

A card is NAME.json beside NAME.safetensors. It holds the numbers measured on each data set by the integer engine; the
hash of a data set covers all its splits, so a number is compared with no other data than its own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from ssmq_brevitas.config import Config
from ssmq_brevitas.data import SequenceData
from ssmq_brevitas.errors import SsmqError
from ssmq_brevitas.files import write_whole
from ssmq_brevitas.footprint import footprint
from ssmq_brevitas.model import Classifier

from .accuracy import correct_on_integers
from .json_file import Amount, Count, Name, Several, Text, problem, read_json


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Measured(_Section):
    """Test images of one data set, and how many of them the integer engine classifies correctly."""

    data: dict[Name, Name | Count]
    data_hash: Name
    images: Several
    correct: Count

    @model_validator(mode="after")
    def _a_share_of_named_data(self) -> Self:
        if self.correct > self.images:
            raise ValueError(f"correct: {self.correct} of {self.images} images")
        if "name" not in self.data:
            raise ValueError("data: its name is missing")
        return self

    @property
    def accuracy(self) -> float:
        return self.correct / self.images


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

    def on(self, data_hash: str) -> Measured | None:
        """The number for a data set, if there is one."""
        return next((entry for entry in self.measured if entry.data_hash == data_hash), None)


def load_card(checkpoint: Path) -> Card | None:
    """The card beside a checkpoint, if there is one. Raises SsmqError for one that is damaged."""
    path = checkpoint.with_suffix(".json")
    if not path.is_file():
        return None
    return read_json(path, Card, "a model card")


def measure(model: Classifier, data: SequenceData) -> Measured:
    """Run all test sequences on the integer engine."""
    correct = correct_on_integers(model, data.x_test, data.y_test)
    return Measured(data=data.describe(), data_hash=data.digest, images=len(data.y_test), correct=correct)


def write_card(checkpoint: Path, loaded: tuple[Classifier, Config, dict], command: str, found: Measured) -> Card:
    """Write the card of a checkpoint that was ``loaded``, or add a data set to the one it has."""
    model, config, note = loaded
    before = load_card(checkpoint)
    others = [entry for entry in (before.measured if before else []) if entry.data_hash != found.data_hash]
    try:
        card = Card(
            name=checkpoint.stem,
            command=command,
            seed=note.get("seed"),
            trained_on=note.get("data", {}),
            config=config,
            bytes=footprint(model).as_dict(),
            measured=[*others, found],
        )
    except ValidationError as error:
        raise SsmqError(f"{checkpoint}: no card can be made of its note and {command!r}: {problem(error)}") from error
    write_whole(checkpoint.with_suffix(".json"), (card.model_dump_json(indent=2) + "\n").encode())
    return card
