"""JSON files from anywhere: read once, no larger than they may be, and validated before a key is looked at.

Numbers are finite and have the type that is asked for, texts are printable: what is read can be calculated with, shown
in a table and drawn.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from ssmq_brevitas.errors import SsmqError
from ssmq_brevitas.files import read_whole

LIMIT = 8 * 2**20  # bytes; the largest result of a study has a hundredth


def _printable(text: str) -> str:
    if not all(character.isprintable() or character.isspace() for character in text):
        raise ValueError("a text has no control characters")
    return text


def _one_file(name: str) -> str:
    if ".." in name:
        raise ValueError("a name has no '..'")
    return name


Text = Annotated[str, StringConstraints(max_length=4000), AfterValidator(_printable)]
Name = Annotated[str, StringConstraints(max_length=200), AfterValidator(_printable)]
# A name that is a file's, a folder's, or a place on a page too.
FileName = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$", max_length=120), AfterValidator(_one_file)
]
Count = Annotated[int, Field(ge=0, le=10**15)]
Several = Annotated[int, Field(ge=1, le=10**15)]
Share = Annotated[float, Field(ge=0, le=1)]
Amount = Annotated[float, Field(ge=0, le=1e18)]
# Sizes, rates and seconds, which are divided by and drawn on a logarithmic axis.
Positive = Annotated[float, Field(ge=1e-9, le=1e15)]


class Strict(BaseModel):
    """A part of a file. Keys that nobody asks for are left out."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False, frozen=True, extra="ignore")


class Data(Strict):
    """A data set as ``SequenceData.describe`` tells of it."""

    name: Name
    source: Name
    train: Count
    validation: Count
    test: Count


class Sizes(Strict):
    """``Footprint.as_dict``, in bytes."""

    parameters: Amount
    state: Amount
    total: Positive
    fp32_total: Positive


Content = TypeVar("Content", bound=BaseModel)


def read_json(path: Path, kind: type[Content], what: str) -> Content:
    """The file as a ``kind``; ``what`` it should be is told where it is not. Raises SsmqError naming file and key."""
    return parse_json(read_whole(path, LIMIT, "file"), kind, path, what)


def parse_json(content: bytes, kind: type[Content], path: Path, what: str) -> Content:
    """``content`` of the file ``path`` as a ``kind``, as ``read_json``."""
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        raise SsmqError(f"{path}: not {what}: {problem(error)}") from error
    except SsmqError as error:  # of a configuration inside
        raise SsmqError(f"{path}: not {what}: {error}") from error


def problem(error: ValidationError) -> str:
    """The first thing that is wrong: its key and why."""
    first = error.errors(include_url=False, include_input=False)[0]
    key = ".".join(str(part) for part in first["loc"])[:200]
    told = first["msg"].removeprefix("Value error, ")
    return f"{key}: {told}" if key else told
