"""Tables of the study on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table as RichTable

from .output import console

if TYPE_CHECKING:
    from ssmq_study.table import Table


def show(table: Table) -> None:
    """Print a table of a study."""
    rich = RichTable(title=table.title)
    for column, heading in enumerate(table.headings):
        rich.add_column(heading, justify="left" if column < table.labels else "right", no_wrap=not column)
    for row in table.rows:
        rich.add_row(*row)
    console.print(rich)
