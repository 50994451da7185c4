"""Verilator's own C++, the same for every design: compiled once for a compiler, it takes longer than a small design."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path


@contextlib.contextmanager
def runtime_kept(program: Path, objects: Path, flags: Sequence[str]) -> Iterator[str]:
    """Options with which make takes what an earlier build with the same ``flags`` left, now in ``objects``; or keeps its own.

    Beside the byte code of this package, and not at all where no folder can be written.
    """
    kept = Path(__file__).with_name("__pycache__") / f"verilated-{_made_with(program, flags)}"
    objects.mkdir(parents=True, exist_ok=True)
    found = sorted(kept.glob("*.o"))
    for path in found:
        shutil.copyfile(path, objects / path.name)
    yield " ".join(f"-o {path.name}" for path in found)  # as old as they look beside the design's makefile, they hold
    with contextlib.suppress(OSError):
        if not kept.exists():
            kept.parent.mkdir(exist_ok=True)
            with tempfile.TemporaryDirectory(dir=kept.parent) as scratch:
                whole = Path(scratch) / kept.name
                whole.mkdir()
                for path in objects.glob("verilated*.o"):
                    shutil.copyfile(path, whole / path.name)
                whole.rename(kept)


def _made_with(program: Path, flags: Sequence[str]) -> str:
    """A hash of the compiler, of Verilator and of what the compiler is told."""
    compiler = shutil.which("c++") or "g++"  # what the makefile calls; without it, make says so
    version = subprocess.run([compiler, "--version"], capture_output=True).stdout
    source = program.parents[1] / "include" / "verilated.cpp"
    told = [os.environ.get(name, "") for name in ("CXX", "CXXFLAGS", "CPPFLAGS", "CPATH")]
    parts = [version, source.read_bytes(), repr([str(program), *flags, *told]).encode()]
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()[:16]
