"""Rows of a study: jobs declared in a TOML file as groups, each the product of a grid.

A row is complete in itself: an id, a configuration, a seed, and the float row that it starts from.
"""

from __future__ import annotations

import fnmatch
import importlib.resources
import itertools
import tomllib
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict
from ssmq_brevitas.config import Config, load_config, parse_config
from ssmq_brevitas.errors import SsmqError

from .paper_quantisers import PaperQuantisation

Kind = Literal["float", "paper-ptq", "ptq", "qat"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Row(_Section):
    """One job. ``quantiser`` is set for the kind ``paper-ptq`` alone."""

    name: str
    seed: int
    kind: Kind
    config: Config
    needs: str | None = None
    quantiser: PaperQuantisation | None = None

    @property
    def id(self) -> str:
        return f"{self.name}-s{self.seed}"


class Group(_Section):
    name: str
    kind: Kind
    preset: str
    seeds: list[int] = [0]
    needs: str | None = None
    grid: dict[str, list[Any]] = {}
    set: dict[str, Any] = {}
    quantiser: dict[str, str] | None = None

    def rows(self) -> list[Row]:
        """All rows of the group, in the order of the grid."""
        found = []
        for values in itertools.product(*self.grid.values()):
            names: dict[str, Any] = {}
            for key, value in zip(self.grid, values, strict=True):
                names |= dict(zip(key.split(","), value, strict=True)) if "," in key else {key: value}
            changes = _fill({"name": self.name, "preset": self.preset, "needs": self.needs, "set": self.set}, names)
            config = _changed(load_config(changes["preset"]), changes["set"])
            quantiser = self.quantiser and PaperQuantisation.model_validate(_fill(self.quantiser, names))
            for seed in self.seeds:
                needs = changes["needs"] and f"{changes['needs']}-s{seed}"
                row = {"name": changes["name"], "seed": seed, "kind": self.kind, "config": config, "needs": needs}
                found.append(Row(**row, quantiser=quantiser))
        return found


class Quick(_Section):
    """A study in minutes: which rows, on how many test images, trained for how many epochs."""

    rows: list[str]
    test_images: int
    epochs: int


class Headline(_Section):
    """A line of the paper's table; ``kilobytes`` is derived from its parameter counts and percentages."""

    label: str
    row: str
    paper: float
    kilobytes: float
    saved: float | None = None


class Study(_Section):
    """A declarative file: the groups, what the paper reports by row name, and its headline table."""

    groups: list[Group]
    quick: Quick
    paper: dict[str, float]
    headline: list[Headline]

    def rows(self) -> dict[str, Row]:
        """Every row by id."""
        rows = [row for group in self.groups for row in group.rows()]
        return {row.id: row for row in rows}

    def selected(self, patterns: list[str]) -> dict[str, Row]:
        """Rows whose id matches a shell pattern, with the rows they need. Raises SsmqError for one without match."""
        rows = self.rows()
        chosen = set()
        for pattern in patterns:
            matching = fnmatch.filter(rows, pattern)
            if not matching:
                raise SsmqError(f"no row matches {pattern!r}: --list names the rows")
            chosen |= set(matching)
        chosen |= {rows[name].needs for name in chosen} - {None}
        return {name: row for name, row in rows.items() if name in chosen}


def _fill(value, names: dict[str, Any]):
    if isinstance(value, dict):
        return {key: _fill(inner, names) for key, inner in value.items()}
    return value.format(**names) if isinstance(value, str) else value


def _changed(config: Config, changes: dict[str, Any]) -> Config:
    """``config`` with values at dotted keys; a table is merged into what is there."""
    values = config.model_dump()
    for key, value in changes.items():
        *path, last = key.split(".")
        section = values
        for part in path:
            section = section[part]
        section[last] = {**section[last], **value} if isinstance(value, dict) else value
    return parse_config(values, origin=f"study row of {config.name}")


def paper_study() -> Study:
    """The reproduction of arXiv 2506.12480: ``paper.toml`` of this package."""
    text = importlib.resources.files("ssmq_study").joinpath("paper.toml").read_text()
    return Study.model_validate(tomllib.loads(text))
