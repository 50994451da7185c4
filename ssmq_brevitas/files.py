"""Files that appear whole or not at all, are read whole or not at all, and folders that one process works in."""

from __future__ import annotations

import fcntl
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import SsmqError


def write_whole(path: Path, content: bytes) -> None:
    """Write ``content`` beside ``path`` under a temporary name of its own, flush it to the disk, then rename.

    The temporary name is created, never followed: a link planted under it is refused. Raises OSError naming ``path``
    when the disk is full or the folder cannot be written; nothing is left behind then. What a killed process left of
    an earlier writing goes.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _clear_left_overs(path)
    temporary = None
    try:
        temporary, descriptor = _created(path)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            os.replace(temporary, path)  # still open: the lock tells others that it is no left-over
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _created(path: Path) -> tuple[Path, int]:
    """A temporary file that is locked, so that no other process takes it for a left-over."""
    while True:
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        # 0o666 less the umask, as open() would: a checkpoint is as readable as its neighbours.
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666)
        _lock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:
            return temporary, descriptor
        os.close(descriptor)  # taken for a left-over between creation and lock


def _clear_left_overs(path: Path) -> None:
    ours = re.compile(re.escape(f".{path.name}.") + "[0-9a-f]{8}")
    for name in filter(ours.fullmatch, os.listdir(path.parent)):
        try:
            descriptor = os.open(path.parent / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:  # a link, or gone
            continue
        try:
            if _lock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB):
                (path.parent / name).unlink(missing_ok=True)
        finally:
            os.close(descriptor)


def _lock(descriptor: int, how: int) -> bool:
    """Whether the lock was taken; some network file systems have none."""
    try:
        fcntl.flock(descriptor, how)
    except OSError:
        return False
    return True


def read_whole(path: Path, most: int, kind: str) -> bytes:
    """The bytes of ``path``, read once. Raises SsmqError if it is no file, cannot be read or has more than ``most``."""
    try:
        if not path.is_file():
            raise SsmqError(f"{path}: no such {kind}: correct the path")
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > most:
                raise SsmqError(f"{path}: {size:,} bytes are more than the {most:,} that a {kind} may have")
            return file.read()
    except OSError as error:
        raise SsmqError(f"{path}: cannot be read ({error.strerror})") from error


@contextmanager
def sole_use(folder: Path, wait: bool = False) -> Iterator[None]:
    """Make ``folder`` and keep other processes out of it as long as this one lives.

    The lock is on the folder itself, so nothing is left in it, and goes with the process, however that ends. Raises
    SsmqError if another process has it, unless it is to ``wait`` for that one's end.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        os.close(descriptor)
        raise SsmqError(f"{folder}: another process is at work in this folder: wait for it, or give another") from None
    except OSError:  # a network file system without locks
        pass
    try:
        yield
    finally:
        os.close(descriptor)
