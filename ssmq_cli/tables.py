"""Tables of the study on the terminal."""

from __future__ import annotations

from rich.table import Table as RichTable

from .output import console


def show(table) -> None:
    """Print an ``ssmq_study.table.Table``."""
    rich = RichTable(title=table.title)
    for column, heading in enumerate(table.headings):
        rich.add_column(heading, justify="left" if column < table.labels else "right", no_wrap=not column)
    for row in table.rows:
        rich.add_row(*row)
    console.print(rich)
