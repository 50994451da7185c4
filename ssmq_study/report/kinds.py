"""What each kind of result looks like: a title, a text in Markdown, pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import TypeAdapter, ValidationError
from ssmq_brevitas import plots as training_plots
from ssmq_brevitas.errors import SsmqError
from ssmq_brevitas.files import read_whole

from .. import plots
from ..json_file import LIMIT, FileName, Strict, parse_json
from . import markdown, pictures, study_schema, tool_schema

Picture = Callable[[dict, Path], None]


@dataclass(frozen=True)
class Kind:
    """``schema`` is what a file holds, ``text`` and ``pictures`` are made of that.

    ``pictures`` maps a name to a function of result and path; it writes nothing if the result has no data for it.
    """

    title: str
    schema: type[tool_schema.Shown]
    text: Callable[[dict], str]
    pictures: dict[str, Picture] = field(default_factory=dict)


def _run_picture(result: dict, path: Path) -> None:
    data = result["data"]
    title = f"{data['name']} ({data['source']}), {data['test']:,} test images"
    training_plots.accuracy_against_bytes(result["rows"], title, path)


def _growth(result: dict, path: Path) -> None:
    # Rows of equal batch x steps, where the loop was measured too.
    rows = [row for row in result["rows"] if (row["heads"], row["modes"]) == (64, 8)]
    product = max((row["batch"] * row["length"] for row in rows), default=None)
    if rows:
        training_plots.growth([row for row in rows if row["batch"] * row["length"] == product], path)


STUDY_PICTURES: dict[str, Picture] = {
    "width": pictures.by_width,
    "parameterisation": pictures.by_parameterisation,
    "curves": pictures.training_curves,
}
# In the order of the page.
KINDS: dict[str, Kind] = {
    "run": Kind(
        "The whole way: float, quantised, trained, verified",
        tool_schema.Run,
        markdown.run_table,
        {"accuracy-bytes": _run_picture},
    ),
    "second-dataset": Kind("Several input channels, all the way", tool_schema.SecondDataset, markdown.dataset_text),
    "study": Kind("A study", study_schema.Study, markdown.study_text, STUDY_PICTURES),
    "sensitivity": Kind("What deserves bits", study_schema.Sensitivity, markdown.sensitivity_text, {"map": plots.heat_map}),
    "search": Kind("Widths and grids under a budget", study_schema.Search, markdown.search_text, {"front": plots.front}),
    "table": Kind("Further results", study_schema.TableFile, markdown.table_text),
    "check": Kind("A graph that the rules judge", tool_schema.Check, markdown.check_table),
    "verify": Kind("Every engine, every code", tool_schema.Verify, markdown.verify_table),
    "bench-scan": Kind("Speed of one layer", tool_schema.BenchScan, markdown.scan_table, {"growth": _growth}),
    "bench-train": Kind("Speed of training", tool_schema.BenchTrain, markdown.train_table),
    "bench-infer": Kind("Speed of inference", tool_schema.BenchInfer, markdown.infer_table),
    "finn": Kind("Through FINN", tool_schema.Finn, markdown.finn_table),
    "estimate": Kind("Cycles and resources", tool_schema.Estimate, markdown.estimate_table),
}
NOT_SHOWN = "a result that can be shown"


@dataclass(frozen=True)
class Result:
    """One file of results/, its values as the schema of its kind has them."""

    name: str
    kind: str
    values: dict

    @property
    def title(self) -> str:
        return self.values["heading"] or KINDS[self.kind].title

    def text(self) -> str:
        return KINDS[self.kind].text(self.values)


class _Head(Strict):
    kind: str | None = None


def load_result(path: Path) -> Result:
    """One result. Raises SsmqError for what cannot be shown, naming file and key."""
    try:
        name = TypeAdapter(FileName).validate_python(path.stem)
    except ValidationError as error:
        raise SsmqError(f"{path}: the name of a result has letters, digits, '.', '_', '+' and '-': rename it") from error
    content = read_whole(path, LIMIT, "result")
    kind = parse_json(content, _Head, path, NOT_SHOWN).kind or (name if name in KINDS else "run")
    if kind not in KINDS:
        raise SsmqError(f"{path}: not {NOT_SHOWN}: kind: is none of {', '.join(KINDS)}")
    return Result(name, kind, parse_json(content, KINDS[kind].schema, path, NOT_SHOWN).model_dump())


def load_results(folder: Path) -> list[Result]:
    """All results of a folder, in the order of the page. Raises SsmqError as ``load_result`` does."""
    if not folder.is_dir():
        raise SsmqError(f"{folder}: no such folder of results: correct the path")
    found = [load_result(path) for path in sorted(folder.glob("*.json"))]
    return sorted(found, key=lambda result: list(KINDS).index(result.kind))
