"""Findings for people and for programs."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table

from .finding import Finding

_COLOURS = {"error": "red", "warning": "yellow", "info": "cyan"}


def to_json(findings: list[Finding]) -> dict:
    """``{"findings": [{"rule", "severity", "node", "tensor", "message", "fix"}]}``"""
    return {"findings": [finding.as_dict() for finding in findings]}


def to_table(findings: list[Finding]) -> Table:
    """A terminal table."""
    table = Table(show_lines=True)
    for heading in ("rule", "where", "what", "how to fix it"):
        table.add_column(heading)
    for f in findings:
        colour = _COLOURS[f.severity]
        where = "\n".join(part for part in (f.node, f.tensor) if part)
        # Names come from foreign files; a bracket in one is no markup.
        table.add_row(f"[{colour}]{f.severity}[/]\n{f.rule}", *map(escape, (where, f.message, f.fix)))
    return table
