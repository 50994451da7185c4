"""What each kind of result looks like: a title, a text in Markdown, pictures."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ssmq_brevitas import plots as training_plots
from ssmq_brevitas.errors import SsmqError

from .. import plots
from . import markdown, pictures

Picture = Callable[[dict, Path], None]


@dataclass(frozen=True)
class Kind:
    """``pictures`` maps a name to a function of result and path; it writes nothing if the result has no data for it."""

    title: str
    text: Callable[[dict], str]
    pictures: dict[str, Picture] = field(default_factory=dict)


def _run_picture(result: dict, path: Path) -> None:
    data = result["data"]
    title = f"{data['name']} ({data['source']}), {data['test']:,} test images"
    training_plots.accuracy_against_bytes(result["rows"], title, path)


def _growth(result: dict, path: Path) -> None:
    # Rows of equal batch x steps, where the loop was measured too.
    rows = [row for row in result["rows"] if (row["heads"], row["modes"]) == (64, 8)]
    product = max(row["batch"] * row["length"] for row in rows)
    training_plots.growth([row for row in rows if row["batch"] * row["length"] == product], path)


STUDY_PICTURES = {
    "width": pictures.by_width,
    "parameterisation": pictures.by_parameterisation,
    "curves": pictures.training_curves,
}
# In the order of the page.
KINDS: dict[str, Kind] = {
    "run": Kind(
        "The whole way: float, quantised, trained, verified", markdown.run_table, {"accuracy-bytes": _run_picture}
    ),
    "second-dataset": Kind("Several input channels, all the way", markdown.dataset_text),
    "study": Kind("A study", markdown.study_text, STUDY_PICTURES),
    "sensitivity": Kind("What deserves bits", markdown.sensitivity_text, {"map": plots.heat_map}),
    "search": Kind("Widths and grids under a budget", markdown.search_text, {"front": plots.front}),
    "table": Kind("Further results", markdown.table_text),
    "check": Kind("A graph that the rules judge", markdown.check_table),
    "verify": Kind("Every engine, every code", markdown.verify_table),
    "bench-scan": Kind("Speed of one layer", markdown.scan_table, {"growth": _growth}),
    "bench-train": Kind("Speed of training", markdown.train_table),
    "bench-infer": Kind("Speed of inference", markdown.infer_table),
    "finn": Kind("Through FINN", markdown.finn_table),
    "estimate": Kind("Cycles and resources", markdown.estimate_table),
}


@dataclass(frozen=True)
class Result:
    """One file of results/."""

    name: str
    kind: str
    values: dict

    @property
    def title(self) -> str:
        return self.values.get("heading", KINDS[self.kind].title)

    def text(self) -> str:
        return KINDS[self.kind].text(self.values)


def load_results(folder: Path) -> list[Result]:
    """All results of a folder, in the order of the page. Raises SsmqError for what is not one, naming the file."""
    if not folder.is_dir():
        raise SsmqError(f"{folder}: no such folder of results")
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            values = json.loads(path.read_text())
            kind = values.get("kind", path.stem if path.stem in KINDS else "run")
            result = Result(path.stem, kind, values)
            result.text()
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise SsmqError(f"{path}: not a result that can be shown ({type(error).__name__}: {error})") from error
        found.append(result)
    return sorted(found, key=lambda result: list(KINDS).index(result.kind))
