"""Write a folder of generated RTL as a board's design: its sources and memories, a link around it, pins."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from ..errors import ExportError
from ..rtl.manifest import MANIFEST, Manifest, load_manifest
from ..rtl.project import FAMILIES, GRAPH, RTL
from . import axi
from .catalogue import Board
from .design import DESIGN, STAGES, BoardDesign
from .link import BAUD, Link, divisor_of, link_of, refuse_large
from .top import TOP, constraints, readme, top_text

LIBRARY = Path(__file__).with_name("library")
AXI_DRIVER = "driver.py"


def write_board(source: Path, board: Board, folder: Path, baud: int = BAUD) -> BoardDesign:
    """The design of ``source``, a folder of ``ssmq rtl``, for ``board`` in ``folder``; an earlier one there is replaced.

    Raises ExportError, and leaves nothing behind, for an accelerator that is no classifier of sequences or is too wide,
    and for a folder that holds something else.
    """
    manifest = load_manifest(source)
    link, divisor = link_of(manifest), divisor_of(board, baud)
    refuse_large(link, board)
    with _replaced(folder) as made:
        identity = _copied(source, manifest, made)
        design = BoardDesign(
            board=board.name, identity=identity, clock_hz=board.clock_hz, divisor=divisor, steps=link.steps,
            channels=link.channels, code_bits=link.code_bits, classes=link.classes, payload=link.payload,
            cycles=manifest.cycles,
        )  # fmt: skip
        (made / RTL / f"{TOP}.sv").write_text(top_text(manifest, board, link, divisor, identity))
        name, text = constraints(board)
        (made / name).write_text(text)
        (made / "README.md").write_text(readme(manifest, board, design.baud))
        (made / DESIGN).write_text(design.model_dump_json(indent=1) + "\n")
    return design


def write_axi(source: Path, folder: Path) -> Link:
    """The design of ``source`` behind AXI, as ``write_board``."""
    manifest = load_manifest(source)
    link, signed = link_of(manifest), manifest.streams[manifest.given.stream].signed
    with _replaced(folder) as made:
        identity = _copied(source, manifest, made)
        (made / RTL / f"{axi.TOP}.sv").write_text(axi.axi_top(manifest, link, identity))
        (made / "package.tcl").write_text(axi.PACKAGE)
        (made / AXI_DRIVER).write_text(axi.driver(link, signed, identity))
    return link


@contextlib.contextmanager
def _replaced(folder: Path) -> Iterator[Path]:
    """A folder to write into, which takes the place of ``folder`` in the end."""
    known = [folder / name for name in (DESIGN, AXI_DRIVER)]
    if folder.exists() and not any(map(Path.is_file, known)) and (not folder.is_dir() or any(folder.iterdir())):
        raise ExportError(f"{folder}: exists and holds no board's design: give another folder, or remove it")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".board-") as scratch:
        made = Path(scratch) / "board"
        made.mkdir()
        yield made
        if (folder / STAGES).is_dir():
            (folder / STAGES).replace(made / STAGES)
        if folder.exists():
            folder.replace(Path(scratch) / "earlier")
        made.replace(folder)


def _copied(source: Path, manifest: Manifest, folder: Path) -> int:
    """The accelerator with the modules around it, in ``folder``; its identity."""
    kept = [name for name in manifest.files if name.split("/")[0] in (RTL, FAMILIES)]
    for name in (GRAPH, *kept):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, folder / name)
    (folder / MANIFEST).write_text(manifest.model_copy(update={"files": kept}).model_dump_json(indent=1) + "\n")
    identity = _identity(folder / RTL)
    for path in sorted(LIBRARY.glob("*.sv")):
        shutil.copyfile(path, folder / RTL / path.name)
    return identity


def _identity(sources: Path) -> int:
    """Of the accelerator and all its constants: 32 bits, enough to tell a board that holds another one."""
    digest = sha256()
    for path in sorted(sources.iterdir()):
        digest.update(f"{path.name} {path.stat().st_size}\n".encode() + path.read_bytes())
    return int.from_bytes(digest.digest()[:4], "big")
