"""The model zoo: trained checkpoints that come with the package, each with a card.

A card is a JSON file beside its checkpoint: ``commands`` that train it, ``seed``, and what `ssmq evaluate` measured
(``images``, ``correct``, ``accuracy``, ``bytes``, ``data`` with the hash of the test set).
"""

from __future__ import annotations

import difflib
import importlib.resources
import json
from pathlib import Path

from .errors import SsmqError

PREFIX = "zoo:"


def _folder() -> Path:
    return Path(str(importlib.resources.files("ssmq_brevitas.assets").joinpath("zoo")))


def zoo_names() -> list[str]:
    """Names of the checkpoints, without the prefix."""
    return sorted(path.stem for path in _folder().glob("*.safetensors"))


def card(name: str) -> dict:
    """The card of a zoo model."""
    return json.loads(checkpoint_path(f"{PREFIX}{name}").with_suffix(".json").read_text())


def checkpoint_path(name_or_path: str | Path) -> Path:
    """The file of ``zoo:NAME``; any other name is the path itself. Raises SsmqError for a model that is not there."""
    text = str(name_or_path)
    if not text.startswith(PREFIX):
        return Path(name_or_path)
    name = text.removeprefix(PREFIX)
    if name not in zoo_names():
        close = difflib.get_close_matches(name, zoo_names(), n=1)
        hint = f"did you mean {PREFIX}{close[0]}?" if close else "ssmq evaluate --list names them"
        raise SsmqError(f"{text}: no such model in the zoo: {hint}")
    return _folder() / f"{name}.safetensors"
