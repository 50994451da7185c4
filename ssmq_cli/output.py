"""What reaches the terminal: text as it is, tables, and JSON that is JSON.

Names come from other people's files. On this console a bracket in one is no markup, and a character that steers a
terminal is shown as an escape (``\\x1b``), wherever it stands: in a line, a table, a spinner or an error.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

import typer
from rich.console import Console, RenderableType
from rich.status import Status
from rich.table import Table
from rich.text import Text
from ssmq_export.visible import visible


class Plain(Console):
    """Strings are text: no markup, no emoji, no highlighting."""

    def __init__(self, **settings):
        settings["color_system"] = Console(**settings).color_system
        super().__init__(markup=False, emoji=False, highlight=False, **settings)

    @property
    def is_terminal(self) -> bool:
        """Where lines can be drawn over: FORCE_COLOR asks for colours in a pipe, not for a spinner's frames."""
        return super().is_terminal and self.file.isatty()

    def render_str(self, text: str, **options) -> Text:
        return super().render_str(visible(text), **options)

    def status(self, status: RenderableType, **options) -> Status:
        return _PlainStatus(_text(status), console=self, **options)

    def print(self, *found, **options) -> None:
        with _named(self.stderr):
            for one in found:
                if isinstance(one, Table) and isinstance(one.title, str):
                    # A line of its own: within the width of the table a path would be folded.
                    super().print(one_line(one.title), soft_wrap=True)
                    one.title = None
            super().print(*found, **options)

    def on_broken_pipe(self) -> None:
        # Called while the BrokenPipeError is handled: main() ends on it, as on that of any other output.
        raise


class _PlainStatus(Status):
    def update(self, status: RenderableType | None = None, **options) -> None:
        super().update(None if status is None else _text(status), **options)


def _text(status: RenderableType) -> RenderableType:
    return Text(visible(status)) if isinstance(status, str) else status


console = Plain()
errors = Plain(stderr=True)


def one_line(text: str) -> str:
    """``text`` as one line: a line break in a name begins no line of ours."""
    return visible(text).replace("\n", "\\n")


def say(line: str) -> None:
    """Print one line, however long."""
    console.print(one_line(line), soft_wrap=True)


def show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """In place of ``warnings.showwarning``: libraries warn of names, too."""
    errors.print(one_line(f"warning: {message}"), soft_wrap=True)


def json_text(found) -> str:
    """JSON as the standard has it: without infinity and NaN, for which ``null`` stands."""
    return json.dumps(_finite(found), indent=2, allow_nan=False)


def print_json(found) -> None:
    """Print ``found`` as JSON, in ASCII."""
    with _named():
        typer.echo(json_text(found))


@contextmanager
def _named(stderr: bool = False) -> Iterator[None]:
    """A full disk behind standard output is told of by name."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or f"standard {'error' if stderr else 'output'}"
        raise


def _finite(found):
    if isinstance(found, float):
        return found if math.isfinite(found) else None
    if isinstance(found, dict):
        return {key: _finite(value) for key, value in found.items()}
    return [_finite(value) for value in found] if isinstance(found, (list, tuple)) else found
