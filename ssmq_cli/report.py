"""``ssmq report``: tables of the README and of docs/, pictures and one HTML page from result files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .output import console, say

NAME = "report"
EXAMPLE = "ssmq report --readme README.md"


def command(
    results: Annotated[Path, typer.Option(help="Folder of result files (.json).")] = Path("results"),
    out: Annotated[Path, typer.Option("--out", "-o", help="The HTML page to write.")] = Path("runs/report.html"),
    readme: Annotated[
        Path | None, typer.Option(help="Also fill the sections of this README and of docs/ beside it, and draw their pictures.")
    ] = None,
) -> None:
    """Render every result: what the commands print with --json, study.json and front.json, and tables of your own.

    The page holds its pictures and needs no network.
    """
    from ssmq_study.report.kinds import load_results
    from ssmq_study.report.page import write_page, write_pages

    found = load_results(results)
    with console.status("report"):
        if readme is not None:
            write_pages(readme, found)
        write_page(out, found)
    told = f"{len(found)} results  ->  {out}" + ("" if readme is None else f", {readme}")
    say(told)
