"""Parts and boards that FINN lists. It takes any other name too, and goes by the first letters of it."""

from __future__ import annotations

import difflib
import json
import tempfile
from pathlib import Path

from ..errors import ExportError
from ..estimates.parts import amd_part
from .process import work


def near(part: str, known: dict[str, str]) -> list[str]:
    """What ``part`` may be a slip of, among the parts of ``known`` boards; nothing if it is one of them."""
    parts = sorted(set(known.values()))
    return [] if part in parts else difflib.get_close_matches(part.lower(), parts, n=3)


def meant(name: str) -> str:
    """What to add to a refusal of ``name``: the part of the board that it names, or a part like it; else nothing."""
    known = _boards()
    of_board = next((part for board, part in known.items() if board.lower() == name.lower()), None)
    if of_board is not None:
        return f"; that is a board, its part is {of_board}"
    close = near(name, known)
    return f"; did you mean {close[0]}?" if close else ""


def refuse_part(name: str) -> None:
    """Raise ExportError for what is no name of an AMD part, with what it may have meant."""
    try:
        amd_part(name)
    except ExportError as error:
        raise ExportError(f"{error}{meant(name)}") from error


def _boards() -> dict[str, str]:
    """FINN's boards and the parts on them; none without a finn-plus that works: they are a hint only."""
    with tempfile.TemporaryDirectory(prefix="ssmq-finn-") as scratch:
        try:
            work(["boards", str(Path(scratch) / "boards.json")], Path(scratch))
        except ExportError:
            return {}
        return json.loads((Path(scratch) / "boards.json").read_text())
