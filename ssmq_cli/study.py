"""``ssmq study paper``: the paper's tables, row by row."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import options
from .output import json_text, say
from .tables import show

if TYPE_CHECKING:
    from ssmq_study.rows import Study

PAPER = "ssmq study paper --quick --out runs/quick"
FRONTIER = "ssmq study frontier --list --out runs/frontier"
app = typer.Typer(
    help="Studies: many trainings as rows that are run once each.", no_args_is_help=True, epilog=options.example(PAPER)
)


@app.callback()
def studies() -> None:
    """Studies: many trainings as rows that are run once each."""


Out = Annotated[Path, typer.Option("--out", "-o", help="Folder for the rows and study.json.")]
Rows = Annotated[list[str] | None, typer.Option("--rows", help="Shell pattern of row ids; may be repeated.")]
Workers = Annotated[int, typer.Option(help="Rows at a time.", min=1, max=1024)]
DataRoot = Annotated[Path | None, typer.Option(help="Folder of MNIST instead of the embedded subset.")]
ListRows = Annotated[bool, typer.Option("--list", help="Name the rows and what is finished; run nothing.")]


@app.command(epilog=options.example(PAPER))
def paper(
    out: Out,
    rows: Rows = None,
    quick: Annotated[bool, typer.Option("--quick", help="The embedded data, minutes instead of hours.")] = False,
    workers: Workers = 1,
    data_root: DataRoot = None,
    list_rows: ListRows = False,
) -> None:
    """The tables of arXiv 2506.12480: post-training and trained, by component, parameterisation and width.

    A row is a job with an id, a configuration, a seed, a log and a result. A finished one is never run again, an
    interrupted one goes on; the float models that rows start from are rows too. Exit code 1 if one failed.
    """
    from ssmq_brevitas.errors import SsmqError
    from ssmq_study.rows import load_study

    if quick and data_root is not None:
        raise SsmqError("--quick uses the embedded data: leave out --data-root")
    study = load_study("paper")
    if not quick or study.quick is None:
        _run(study, out, rows or ["*"], workers, data_root, list_rows, {})
        return
    short = {"test_images": study.quick.test_images, "epochs": study.quick.epochs}
    _run(study, out, rows or study.quick.rows, workers, data_root, list_rows, short)


@app.command(epilog=options.example(FRONTIER))
def frontier(
    out: Out, rows: Rows = None, workers: Workers = 1, data_root: DataRoot = None, list_rows: ListRows = False
) -> None:
    """Integer models better for their bytes than the paper's, and what each technique is worth.

    Rows are run as in ssmq study paper.
    """
    from ssmq_study.rows import load_study

    _run(load_study("frontier"), out, rows or ["*"], workers, data_root, list_rows, {})


def _run(
    study: Study, out: Path, patterns: list[str], workers: int, data_root: Path | None, list_rows: bool, short: dict
) -> None:
    from ssmq_brevitas.errors import SsmqError
    from ssmq_brevitas.files import write_whole
    from ssmq_study.row_files import Settings, finished
    from ssmq_study.runner import run_rows
    from ssmq_study.study_tables import summary, tables

    try:
        chosen = study.selected(patterns)
    except SsmqError as error:
        raise SsmqError(f"{error}, as --list names them") from error
    settings = Settings(embedded=data_root is None, data_hash=options.load_data(data_root=data_root).digest, **short)
    if list_rows:
        for name, row in chosen.items():
            found = finished(out, row, settings)
            told = f"{100 * found['accuracy']:.2f} %" if found else "–"
            say(f"{name:<44} {told}")
        return

    def tell(name: str, state: str, left: int) -> None:
        say(f"{name}: {state}, {left} waiting")

    failed = run_rows(chosen, out, settings, data_root, workers, tell)
    # All that OUT holds: rows of earlier calls too.
    results = [found for row in study.rows().values() if (found := finished(out, row, settings))]
    if results:
        found = summary(study, results)
        write_whole(out / "study.json", json_text(found).encode())
        for table in tables(found):
            show(table)
        say(f"{len(results)} rows, {found['images']} test images  ->  {out / 'study.json'}")
    for name in failed:
        say(f"failed: {name}; see {out / name / 'log.txt'}")
    if failed:
        raise typer.Exit(1)
