"""Stages: folders that are whole or not there, and kept as long as what they were made from is the same."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path

STAMP = "made-from"


def stage(folder: Path, given: Mapping[str, bytes], about: str, make: Callable[[Path], object]) -> bool:
    """Let ``make`` work in a folder that holds the files ``given``, and call it ``folder`` when it has ended.

    ``about`` says what else its result depends on: versions of programs, their arguments. Nothing is done, and False
    returned, if the folder is there and was made from the same.
    """
    digest = _digest(given, about)
    stamp = folder / STAMP
    if stamp.is_file() and stamp.read_text() == digest:
        return False
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
        work = Path(scratch) / "work"
        work.mkdir()
        for name, content in given.items():
            (work / name).write_bytes(content)
        make(work)
        (work / STAMP).write_text(digest)
        if folder.exists():
            folder.replace(Path(scratch) / "earlier")
        work.replace(folder)
    return True


def _digest(given: Mapping[str, bytes], about: str) -> str:
    total = sha256(about.encode())
    for name, content in sorted(given.items()):
        total.update(f"\0{name}\0{len(content)}\0".encode() + content)
    return total.hexdigest()
