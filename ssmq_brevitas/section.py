"""A section of a configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo

from .config_problem import first_problem
from .errors import SsmqError

if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass
else:
    ModelMetaclass = type(BaseModel)  # it has no public name


class _Told(ModelMetaclass):
    """What is made by its name is refused in one line, as what stands in a file is."""

    def __call__(cls, *given, **keys):
        try:
            return super().__call__(*given, **keys)
        except ValidationError as error:
            assert issubclass(cls, Section)
            raise SsmqError(f"{cls.__name__}: {first_problem(error, cls)}") from error


class Section(BaseModel, metaclass=_Told):
    # Strict: true is not a number and "8" is none either. In files a key that is a name of Python's own has its alias.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, serialize_by_alias=True)

    @classmethod
    def keys(cls) -> dict[str, FieldInfo]:
        """The fields by their keys in files."""
        return {field.alias or name: field for name, field in cls.model_fields.items()}
