"""``ssmq check``: is this graph legal for FINN-style dataflow?"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from . import options
from .output import console, print_json, say

NAME = "check"


def command(
    graph: Annotated[Path, typer.Argument(help="Any ONNX or QONNX file.")],
    as_json: options.AsJson = False,
    sarif: Annotated[bool, typer.Option("--sarif", help="Print SARIF 2.1.0, for code hosts and editors.")] = False,
) -> None:
    """Judge a graph rule by rule; every finding says what is wrong and how to fix it. Exit code 1 when illegal."""
    from ssmq_export.check import check_file
    from ssmq_export.check.report import to_json, to_table
    from ssmq_export.check.sarif import to_sarif

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
