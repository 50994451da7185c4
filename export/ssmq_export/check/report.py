"""Findings for people and for programs."""

from __future__ import annotations

from collections import Counter

from rich.table import Table
from rich.text import Text

from ..visible import visible
from .finding import Finding

_COLOURS = {"error": "red", "warning": "yellow", "info": "cyan"}
# Rows of the table: nobody reads more, and a terminal takes seconds to lay them out.
ROWS = 100


def to_json(findings: list[Finding]) -> dict:
    """``{"findings": [{"rule", "severity", "node", "tensor", "message", "fix"}]}``"""
    return {"findings": [finding.as_dict() for finding in findings]}


def to_table(findings: list[Finding]) -> Table:
    """A terminal table of the first ``ROWS`` findings, errors before warnings; how many more of which rule below it."""
    severities = list(_COLOURS)
    ordered = sorted(findings, key=lambda finding: severities.index(finding.severity))
    table = Table(show_lines=True)
    for heading in ("rule", "where", "what", "how to fix it"):
        table.add_column(heading)
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
