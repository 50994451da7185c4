"""Rows of a study: jobs declared in a TOML file as groups, each the product of a grid.

A row is complete in itself: an id, a configuration, a seed, and the float row that it starts from.
"""

from __future__ import annotations

import fnmatch
import importlib.resources
import itertools
import re
import tomllib
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from ssmq_brevitas.config import Config, load_config, parse_config
from ssmq_brevitas.errors import SsmqError

from .json_file import FileName
from .paper_quantizers import PaperQuantization

Kind = Literal["float", "paper-ptq", "ptq", "qat"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Row(_Section):
    """One job. ``quantiser`` is set for the kind ``paper-ptq`` alone.

    ``needs`` is the id of the row whose model it starts from. ``pretrained`` takes the float model that comes with the package.
    ``reconstruct`` is of the kind ``ptq``: read-outs are fitted anew.
    """

    name: FileName
    seed: Annotated[int, Field(ge=0, le=2**31)]
    kind: Kind
    config: Config
    needs: FileName | None = None
    pretrained: bool = False
    reconstruct: bool = False
    quantiser: PaperQuantization | None = None

    @property
    def id(self) -> str:
        return f"{self.name}-s{self.seed}"


class Group(_Section):
    name: str
    kind: Kind
    preset: str
    seeds: list[int] = [0]
    needs: str | None = None
    pretrained: bool = False
    reconstruct: bool | str = False
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
            texts = {key: getattr(self, key) for key in ("name", "preset", "needs", "set", "reconstruct")}
            changes = _fill(texts, names)
            config = _changed(load_config(changes["preset"]), changes["set"])
            quantiser = self.quantiser and PaperQuantization.model_validate(_fill(self.quantiser, names))
            for seed in self.seeds:
                row = Row(
                    name=changes["name"],
                    seed=seed,
                    kind=self.kind,
                    config=config,
                    needs=changes["needs"] and _seeded(changes["needs"], seed),
                    pretrained=self.pretrained,
                    reconstruct=changes["reconstruct"],
                    quantiser=quantiser,
                )
                found.append(row)
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


class Figure(_Section):
    """What is to be reached: an accuracy in percent, within so many bytes, by the row named."""

    what: str
    row: str
    reach: float
    within: float | None = None
    paper: str = "–"


class Ablation(_Section):
    """A technique: the row with it and the row without, equal in all else."""

    technique: str
    row: str
    without: str


class Study(_Section):
    """A declarative file: the groups, and what its rows are compared with.

    ``paper`` is what the paper reports by row name, ``headline`` its table; ``dropped`` says of techniques that did not
    pay, and are no longer in the code, what they gave.
    """

    heading: str
    groups: list[Group]
    quick: Quick | None = None
    paper: dict[str, float] = {}
    headline: list[Headline] = []
    figures: list[Figure] = []
    ablations: list[Ablation] = []
    dropped: dict[str, str] = {}

    def rows(self) -> dict[str, Row]:
        """Every row by id."""
        rows = [row for group in self.groups for row in group.rows()]
        return {row.id: row for row in rows}

    def selected(self, patterns: list[str]) -> dict[str, Row]:
        """Rows whose id matches a shell pattern, with the rows they need. Raises SsmqError for one without match."""
        rows = self.rows()
        chosen: set[str] = set()
        for pattern in patterns:
            matching = fnmatch.filter(rows, pattern)
            if not matching:
                raise SsmqError(f"no row matches {pattern!r}: give a shell pattern of row ids")
            chosen |= set(matching)
        found: set[str] = set()
        while chosen - found:
            found |= chosen
            chosen = {needs for name in chosen if (needs := rows[name].needs) is not None}
        return {name: row for name, row in rows.items() if name in found}


def _seeded(name: str, seed: int) -> str:
    """The id of a row of this seed, unless ``name`` is an id with a seed of its own."""
    return name if re.search(r"-s\d+$", name) else f"{name}-s{seed}"


def _fill(value, names: dict[str, Any]):
    if isinstance(value, dict):
        return {key: _fill(inner, names) for key, inner in value.items()}
    if not isinstance(value, str):
        return value
    # A name alone stands for its value: a width is a number.
    alone = re.fullmatch(r"\{(\w+)\}", value)
    return names[alone[1]] if alone else value.format(**names)


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


def load_study(name: str) -> Study:
    """A study of this package: ``paper``, the reproduction of arXiv 2506.12480, or ``frontier``, what goes beyond it."""
    text = importlib.resources.files("ssmq_study").joinpath(f"{name}.toml").read_text()
    return Study.model_validate(tomllib.loads(text))
