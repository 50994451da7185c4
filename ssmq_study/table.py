"""A table of strings, told once and shown in a terminal, in Markdown or in HTML."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """The first ``labels`` columns are words, the others numbers."""

    title: str
    headings: list[str]
    rows: list[list[str]]
    labels: int = 1

    def markdown(self) -> str:
        """The table alone, without its title."""
        rule = ["---" if column < self.labels else "---:" for column in range(len(self.headings))]
        return "\n".join([_line(self.headings), f"|{'|'.join(rule)}|", *(_line(row) for row in self.rows)])


def _line(cells: list[str]) -> str:
    escaped = (cell.replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(escaped)} |"


def percent(share: float | None, digits: int = 2) -> str:
    return "–" if share is None else f"{100 * share:.{digits}f}"
