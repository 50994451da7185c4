"""Print the reference of configuration files: ``python -m ssmq_study.report.reference > docs/configuration.md``."""

from __future__ import annotations

from types import NoneType
from typing import get_args

from pydantic.json_schema import JsonSchemaValue
from ssmq_brevitas.config import Config, load_config, preset_names
from ssmq_brevitas.section import Section

from ..table import Table, code

HEAD = """\
# Configuration

Every key of a configuration file, from the models that validate it. What is left out keeps its default; an unknown key or a
value out of range is refused by name."""


def reference_markdown() -> str:
    """The page ``docs/configuration.md``: a table for each section of a file, and one of what the presets set."""
    names: dict[type[Section], list[str]] = {Config: []}
    for name, section in _sections(Config).items():
        names.setdefault(section, []).append(f"`[{name}]`")
    sections = [_section(", ".join(titles) or "Above all sections", section) for section, titles in names.items()]
    return "\n\n".join([HEAD, *filter(None, sections), _presets()]) + "\n"


def _sections(section: type[Section], prefix: str = "") -> dict[str, type[Section]]:
    """The sections below ``section``, by their names in files."""
    found: dict[str, type[Section]] = {}
    for key, field in section.keys().items():
        kind = _kind(field.annotation)
        if kind is not None:
            found |= {prefix + key: kind, **_sections(kind, f"{prefix}{key}.")}
    return found


def _kind(annotation) -> type[Section] | None:
    """The section that a field holds, if it holds one: it may be one that can be left out."""
    kinds = [kind for kind in get_args(annotation) or (annotation,) if kind is not NoneType]
    return kinds[0] if isinstance(kinds[0], type) and issubclass(kinds[0], Section) else None


def _section(title: str, section: type[Section]) -> str:
    """The docstring, without its example, and the keys of a section; nothing of one that only holds others."""
    about = " ".join((section.__doc__ or "").split(">>>")[0].replace("``", "`").split())
    schema = section.model_json_schema()
    lines = [
        [code(f"`{key}`"), _values(schema["properties"][key], schema), _default(schema["properties"][key])]
        for key, field in section.keys().items()
        if _kind(field.annotation) is None
    ]
    if not lines:
        return ""
    return "\n\n".join([f"## {title}", about, Table("", ["key", "values", "default"], lines, 3).markdown()])


def _values(field: JsonSchemaValue, schema: JsonSchemaValue) -> str:
    """What a key may be, in words."""
    if "enum" in field:
        return ", ".join(code(f'`"{value}"`') for value in field["enum"])
    if field["type"] == "boolean":
        return "`true`, `false`"
    if field["type"] == "object":
        return "a table of patterns: a width or a grid each"
    if field["type"] == "string":
        return f"{field['minLength']} to {field['maxLength']} characters"
    kind = "integer" if field["type"] == "integer" else "number"
    low = f"above {field['exclusiveMinimum']:g}, up to" if "exclusiveMinimum" in field else f"{field['minimum']:g} to"
    return f"{kind}, {low} {field['maximum']:,g}" if field["maximum"] < 1e6 else f"{kind}, {low} {field['maximum']:,.0f}"


def _default(field: JsonSchemaValue) -> str:
    if "default" not in field:
        return "–"
    value = field["default"]
    return code(f'`"{value}"`' if isinstance(value, str) else f"`{str(value).lower()}`")


def _presets() -> str:
    """The keys in which the presets differ from the defaults."""
    plain, names = _flat(Config().model_dump(by_alias=True)), preset_names()
    values = {name: _flat(load_config(name).model_dump(by_alias=True)) for name in names}
    keys = [key for key in plain if key != "name" and any(values[name][key] != plain[key] for name in names)]
    lines = [[code(f"`{key}`"), *(str(values[name][key]).lower() for name in names)] for key in keys]
    return "## Presets\n\nWhere they differ from the defaults.\n\n" + Table("", ["key", *names], lines, 1).markdown()


def _flat(values: dict, prefix: str = "") -> dict:
    found: dict = {}
    for key, value in values.items():
        found |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) and value else {prefix + key: value}
    return found


if __name__ == "__main__":
    print(reference_markdown(), end="")
