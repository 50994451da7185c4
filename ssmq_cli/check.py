"""``ssmq check``: is this graph legal for FINN-style dataflow?"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text
from ssmq_export.visible import visible

from . import options
from .output import console, print_json, say

NAME = "check"
EXAMPLE = "ssmq check graphs/dataflow.onnx"
_COLOURS = {"error": "red", "warning": "yellow", "info": "cyan"}
# Rows of the table: nobody reads more, and a terminal takes seconds to lay them out.
ROWS = 100


def command(
    graph: Annotated[Path, typer.Argument(help="Any ONNX or QONNX file.")],
    as_json: options.AsJson = False,
    sarif: Annotated[bool, typer.Option("--sarif", help="Print SARIF 2.1.0, for code hosts and editors.")] = False,
) -> None:
    """Judge a graph rule by rule; every finding says what is wrong and how to fix it. Exit code 1 when illegal."""
    from ssmq_export.checks import check_file
    from ssmq_export.checks.finding import to_json
    from ssmq_export.checks.sarif import to_sarif

    findings = check_file(graph)
    illegal = sum(finding.severity == "error" for finding in findings)
    if as_json or sarif:
        print_json(to_sarif(findings, graph) if sarif else to_json(findings))
    else:
        if findings:
            console.print(to_table(findings))
        counts = Counter(finding.severity for finding in findings)
        told = ", ".join(f"{count} {kind}{'s' * (count > 1)}" for kind, count in counts.items())
        say(f"{graph}: {'illegal' if illegal else 'legal'}" + (f" ({told})" if told else ""))
    raise typer.Exit(1 if illegal else 0)


def to_table(findings: list) -> Table:
    """A terminal table of the first ``ROWS`` findings, errors before warnings; how many more of which rule below it."""
    severities = list(_COLOURS)
    ordered = sorted(findings, key=lambda finding: severities.index(finding.severity))
    table = Table(show_lines=True)
    for heading in ("rule", "where", "what", "how to fix it"):
        table.add_column(heading, overflow="fold")
    for f in ordered[:ROWS]:
        where = "\n".join(part for part in (f.node, f.tensor) if part)
        # Names come from foreign files: text, no markup, and nothing that steers a terminal.
        cells = (Text(visible(cell)) for cell in (where, f.message, f.fix))
        table.add_row(Text.assemble((f.severity, _COLOURS[f.severity]), "\n", f.rule), *cells)
    left = Counter(finding.rule for finding in ordered[ROWS:])
    if left:
        told = ", ".join(f"{count:,} {rule}" for rule, count in left.items())
        table.caption = Text(f"{left.total():,} more ({told}): --json lists them all")
    return table
