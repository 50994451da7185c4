"""The files of a row: OUT/ID/job.json says what is to be done, OUT/ID/result.json what came of it.

A result belongs to its row, to the data and to the model it started from; it is the row's as long as these are.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from ssmq_brevitas.errors import SsmqError
from ssmq_brevitas.zoo import PREFIX, locate

from .json_file import Amount, Data, Name, Several, Share, Sizes, Strict, read_json
from .rows import Row


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Settings(_Section):
    """What all rows of one study share; the rows of another have other results. ``data_hash`` is ``SequenceData.digest``."""

    dataset: Name = "mnist"
    embedded: bool = True
    data_hash: Name | None = None
    test_images: Several | None = None
    epochs: Annotated[int, Field(ge=0)] | None = None


class Job(_Section):
    row: Row
    settings: Settings
    data_root: Path | None = None


class RowResult(Strict):
    """``start`` is the hash of the model that the row started from."""

    id: Name
    name: Name
    seed: int
    engine: Name
    accuracy: Share
    validation: Share | None
    images: Several
    data: Data
    bytes: Sizes | None
    epochs: list[Share]
    seconds: Amount
    start: str | None = None
    row: Row
    settings: Settings

    @model_validator(mode="after")
    def _of_its_row(self) -> Self:
        if (self.id, self.name, self.seed) != (self.row.id, self.row.name, self.row.seed):
            raise ValueError("id, name and seed are those of the row")
        return self


def read_job(out: Path, name: str) -> Job:
    """The job of a row. Raises SsmqError if it is none, or that of another row."""
    path = out / name / "job.json"
    job = read_json(path, Job, "the job of a row")
    if job.row.id != name:
        raise SsmqError(f"{path}: the job of the row {job.row.id}, not of {name}: remove its folder and run the study again")
    return job


def finished(out: Path, row: Row, settings: Settings) -> dict | None:
    """The result of a row, if it has one. Raises SsmqError if that is the result of something else."""
    path = out / row.id / "result.json"
    if not path.is_file():
        return None
    found = read_json(path, RowResult, "a result of a study (remove it to run the row again)")
    if (found.row, found.settings) != (row, settings):
        raise SsmqError(f"{path}: the result of another definition or other data; give another folder, or remove it")
    if (start := start_hash(out, row)) is not None and found.start != start:
        raise SsmqError(f"{path}: the result of another model to start from; remove it to run the row again")
    return found.model_dump(mode="json")


def start_file(out: Path, row: Row) -> Path | None:
    """The checkpoint that a row starts from, if it starts from one."""
    if row.pretrained:
        return locate(PREFIX + row.config.name)
    return None if row.needs is None else out / row.needs / "model.safetensors"


def start_hash(out: Path, row: Row) -> str | None:
    """SHA-256 of the checkpoint that a row starts from; None if there is none, or not any more."""
    path = start_file(out, row)
    return None if path is None or not path.is_file() else hashlib.sha256(path.read_bytes()).hexdigest()
