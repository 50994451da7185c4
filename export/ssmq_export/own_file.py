"""A file that one of this project's commands has written and another one reads."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from .errors import ExportError

Kind = TypeVar("Kind", bound=BaseModel)


def read_file(path: Path, kind: type[Kind], advice: str) -> Kind:
    """The JSON in ``path`` as a ``kind``; raises ExportError, which ends in ``advice``, for a file that is none."""
    if not path.is_file():
        raise ExportError(f"{path}: no such file: {advice}")
    try:
        return kind.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise ExportError(f"{path}: {place}: {first['msg']}: {advice}") from error
