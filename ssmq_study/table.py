"""A table of strings, told once and shown in a terminal, in Markdown or in HTML."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass

# `code` is left as it is, if there is nothing in it that a table, a page or a README would see.
_CODE = re.compile(r"(?<!`)`([^`<>|\\]+)`(?!`)")
# What Markdown would see; an underscore inside a word it does not.
_MARKUP = re.compile(r"[\\`*\[\]|~]|(?<![^\W_])_|_(?![^\W_])")
_BLOCK = re.compile(r"^(\d*)(?=[#>+=.)-])")


def escaped(text: str) -> str:
    """``text`` as one line of Markdown that shows it: no HTML, no links, no markup but `code`."""
    parts = _CODE.split(" ".join(text.split()))
    plain = [_MARKUP.sub(r"\\\g<0>", html.escape(part, quote=False)) for part in parts[::2]]
    code = [f"`{part}`" for part in parts[1::2]]
    return "".join(part for pair in zip(plain, [*code, ""], strict=True) for part in pair)


def paragraph(text: str) -> str:
    """``escaped``, and no heading, list or quotation either."""
    return _BLOCK.sub(r"\1\\", escaped(text), count=1)


def code(text: str) -> str:
    """``text`` as a span of code, if it can be one."""
    return escaped(f"`{text}`" if _CODE.fullmatch(f"`{text}`") else text)


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
    return f"| {' | '.join(map(escaped, cells))} |"


def percent(share: float | None, digits: int = 2) -> str:
    return "–" if share is None else f"{100 * share:.{digits}f}"
