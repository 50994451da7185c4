"""The models that come with the package: a float one for every preset, and the quantised ones of the zoo."""

from __future__ import annotations

import difflib
import importlib.resources
from pathlib import Path

from .errors import SsmqError

PREFIX = "zoo:"
_ASSETS = Path(str(importlib.resources.files("ssmq_brevitas.assets")))


def float_models() -> dict[str, Path]:
    """The checkpoints of the float models, by the name of their preset."""
    return _named(_ASSETS)


def zoo_models() -> dict[str, Path]:
    """The checkpoints of the quantised models, by name."""
    return _named(_ASSETS / "zoo")


def _named(folder: Path) -> dict[str, Path]:
    return dict(sorted((path.stem, path) for path in folder.glob("*.safetensors")))


def locate(model: str) -> Path:
    """The checkpoint ``zoo:NAME``, or a path. A preset's name stands for the float model that comes with it.

    Raises SsmqError for a name that the zoo has not.
    """
    if not model.startswith(PREFIX):
        return Path(model)
    name, files = model.removeprefix(PREFIX), float_models() | zoo_models()
    if name not in files:
        close = difflib.get_close_matches(name, files, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(sorted(files))}"
        raise SsmqError(f"{model}: not in the zoo: {hint}")
    return files[name]
