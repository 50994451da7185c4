"""What is wrong with a configuration, in one line that names the key."""

from __future__ import annotations

import difflib
import reprlib
from typing import TYPE_CHECKING, get_args

from pydantic import ValidationError

if TYPE_CHECKING:
    from .section import Section


def first_problem(error: ValidationError, root: type[Section]) -> str:
    """The first problem of ``error``, which validating a ``root`` has raised."""
    problems = error.errors()
    # A misspelt key comes before the one that is missing for it.
    problem = next((problem for problem in problems if problem["type"] == "extra_forbidden"), problems[0])
    key = ".".join(str(part)[:80] for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        from .section import Section

        section = root
        for part in problem["loc"][:-1]:
            kind = section.keys()[str(part)].annotation
            # Of one that may be left out, the section itself.
            section = next(one for one in (*get_args(kind), kind) if isinstance(one, type) and issubclass(one, Section))
        close = difflib.get_close_matches(str(problem["loc"][-1])[:80], section.keys(), n=1, cutoff=0.5)
        hint = f"did you mean {close[0]!r}?" if close else f"known keys: {', '.join(section.keys())}"
        return f"unknown key {key!r}; {hint}"
    if problem["type"] == "missing":
        return f"{key} is missing"
    where = f"{key}: " if key else ""
    if problem["type"] == "value_error":
        return f"{where}{problem['msg'].removeprefix('Value error, ')}"
    return f"{where}{problem['msg'][0].lower()}{problem['msg'][1:]}, not {_shown(problem['input'])}"


def _shown(value) -> str:
    try:
        return reprlib.repr(value)
    except ValueError:  # Python prints no integer of more than 4,300 digits
        return "a number of thousands of digits"
