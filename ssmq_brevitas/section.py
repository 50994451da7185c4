"""A section of a configuration."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict
from pydantic.fields import FieldInfo


class Section(BaseModel):
    # Strict: true is not a number and "8" is none either. In files a key that is a name of Python's own has its alias.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, serialize_by_alias=True)

    @classmethod
    def keys(cls) -> dict[str, FieldInfo]:
        """The fields by their keys in files."""
        return {field.alias or name: field for name, field in cls.model_fields.items()}
