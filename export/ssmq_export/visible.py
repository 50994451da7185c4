"""Names from foreign files, for a terminal."""

from __future__ import annotations

from unicodedata import category


def visible(text: str) -> str:
    """``text`` with every character that steers a terminal, or hides, as an escape (``\\x1b``); line breaks stay."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" or category(c) == "Zs" else ascii(c)[1:-1] for c in text)
