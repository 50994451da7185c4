"""For the API's pages: the names of ``__all__``, which are loaded late, and doctests in docstrings as blocks of code."""

from __future__ import annotations

import importlib
import re

import griffe

_DOCTEST = re.compile(r"^>>> .*(?:\n(?!\s*$).*)*", re.MULTILINE)


class ApiPages(griffe.Extension):
    def on_module(self, *, mod: griffe.Module, **kwargs: object) -> None:
        if mod.is_package and not mod.parent:
            mod.exports = list(importlib.import_module(mod.path).__all__)

    def on_object(self, *, obj: griffe.Object, **kwargs: object) -> None:
        if obj.docstring:
            obj.docstring.value = _DOCTEST.sub(lambda found: f"```pycon\n{found[0]}\n```", obj.docstring.value)
