"""Compiled kernels whose cache knows what they are made of. Stands below every other package and imports none of them.

numba's own cache watches the file of the cached function, not the helpers that are compiled into it, gives up where no
folder can be written, and has every process compile what several miss at once. Source: numba's documentation, "Notes on
Caching", and ``numba.core.caching``.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import FileLock
from numba import njit
from numba.core.caching import FunctionCache, IndexDataCacheFile

# For another process that compiles the same kernel, the largest in 15 seconds; one that has stopped holds nobody up for longer.
SECONDS = 60


def sources(file: Path) -> list[Path]:
    """``file`` and the files of its own package that it imports, by relative imports, at any depth."""
    found: set[Path] = set()
    waiting = [file]
    while waiting:
        path = waiting.pop()
        if path in found or not path.is_file():
            continue
        found.add(path)
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.ImportFrom) and node.level:
                place = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
                waiting += [place.with_suffix(".py"), place / "__init__.py"]
                waiting += [place / f"{alias.name}.py" for alias in node.names]
    return sorted(found)


def fingerprint(file: Path) -> str:
    """A hash of all that a kernel in ``file`` is made of, but numba and the processor, which numba looks at."""
    digest = hashlib.sha256()
    for path in sources(file):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


class _Cache(FunctionCache):
    def __init__(self, function: Callable):
        super().__init__(function)
        made_of = fingerprint(Path(inspect.getfile(function)))
        # Part of the name: numba writes index and code one after the other, and a run stopped between them would leave an
        # index of these sources that names code of others.
        name = f"{self._impl.filename_base}-{made_of[:16]}"
        self._cache_file = IndexDataCacheFile(self.cache_path, name, made_of)
        self._lock = Path(self.cache_path) / f"{name}.lock"

    def load_overload(self, sig, target_context):
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # whatever a damaged file makes pickle raise
            with contextlib.suppress(OSError):
                self.flush()
            return None

    def save_overload(self, sig, data):
        with contextlib.suppress(OSError):  # a full disk costs a compilation, not the run
            super().save_overload(sig, data)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """No other process looks for this kernel and compiles it meanwhile, where files can be locked."""
        with contextlib.ExitStack() as held:
            with contextlib.suppress(OSError, NotImplementedError):
                self._impl.locator.ensure_cache_path()
                held.enter_context(FileLock(self._lock, timeout=SECONDS))  # one of this process: a fork inherits none
            yield


def kernel(**options) -> Callable:
    """``numba.njit`` with ``options``, cached until a source changes; not cached where no folder can be written.

    For what Python calls. A function that only kernels call is compiled into them and needs no cache.
    """

    def compiled(function: Callable):
        dispatcher = njit(**options)(function)
        # numba says RuntimeError where it finds no place for a cache.
        with contextlib.suppress(RuntimeError, OSError):
            dispatcher._cache = cache = _Cache(function)
            dispatcher.compile = cache.alone()(dispatcher.compile)
        return dispatcher

    return compiled
