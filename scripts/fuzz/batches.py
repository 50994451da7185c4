"""One batch of damaged files in a process of its own, with limits on time and memory."""

from __future__ import annotations

import contextlib
import json
import os
import random
import resource
import select
import shutil
import signal
import tempfile
import traceback
import warnings
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from kinds import KINDS, Nonsense
from ssmq_brevitas.errors import SsmqError
from ssmq_export.errors import ExportError

SECONDS = 10
# Of no word from a batch, on a machine that may be busy: it waits for what never comes.
SILENCE = 120
MEMORY = 2 << 30


@dataclass(frozen=True)
class Failure:
    """``number`` and the seed give the input again; ``content`` is it."""

    kind: str
    number: int
    what: str
    name: str
    content: bytes


@dataclass
class Batch:
    outcomes: Counter = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)


def damaged(kind: str, seeds: Path, seed: int, number: int) -> tuple[str, bytes]:
    """The name and the content of one damaged file."""
    rng = random.Random(f"{seed}/{kind}/{number}")
    source = rng.choice(sorted(seeds.glob(KINDS[kind].seeds)))
    content = source.read_bytes()
    for _ in range(100):
        changed = KINDS[kind].damage(rng, content)
        if changed != content:
            return source.name, changed
    raise RuntimeError(f"{source}: nothing to damage")


class _Hang(BaseException):
    """Not an Exception: a reader that catches everything must not catch this."""


def _hang(number, frame) -> None:
    raise _Hang


def _read(kind: str, path: Path, seeds: Path) -> tuple[str, str]:
    """The outcome of one file (accepted, refused or failed) and what was wrong."""
    # CPU time: a busy machine must not look like a hang; who waits for ever is ended by the parent.
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        KINDS[kind].read(path, seeds)
        return "accepted", ""
    except (SsmqError, ExportError) as error:
        text = str(error)
        return ("refused", "") if text.strip() else ("failed", "a refusal without a message")
    except _Hang:
        return "failed", f"took more than {SECONDS} s"
    except Nonsense as error:
        return "failed", f"nonsense accepted: {error}"
    except BaseException as error:
        last = [f"{Path(f.filename).name}:{f.lineno}" for f in traceback.extract_tb(error.__traceback__)]
        own = [place for place in last if not place.startswith(("kinds.py", "batches.py"))][-4:]
        return "failed", f"{type(error).__name__}: {str(error)[:200]!r} at {' < '.join(reversed(own or last))}"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _child(kind: str, seeds: Path, seed: int, numbers: range, pipe: int) -> None:
    virtual = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGESIZE")
    resource.setrlimit(resource.RLIMIT_AS, (virtual + MEMORY, virtual + MEMORY))
    signal.signal(signal.SIGPROF, _hang)
    warnings.simplefilter("ignore")
    silent = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(silent, stream)
    with os.fdopen(pipe, "w") as told, tempfile.TemporaryDirectory() as scratch:
        for number in numbers:
            folder = Path(scratch) / str(number)
            folder.mkdir()
            name, content = damaged(kind, seeds, seed, number)
            (folder / name).write_bytes(content)
            print(json.dumps([number, "started", ""]), file=told, flush=True)
            outcome = _read(kind, folder / name, seeds)
            print(json.dumps([number, *outcome]), file=told, flush=True)
            shutil.rmtree(folder, ignore_errors=True)


def _lines(pipe: int, child: int):
    """What the child tells, ending it when it is silent for longer than a reader may take."""
    with os.fdopen(pipe, "rb") as source:
        while select.select([source], [], [], SILENCE)[0]:
            line = source.readline()
            if not line:
                return
            yield json.loads(line)
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)


def run_batch(kind: str, seeds: Path, scratch: Path, seed: int, numbers: range) -> Batch:
    """Read the damaged files ``numbers``; a file that kills the process is a failure, and the next process goes on."""
    batch, waiting = Batch(), list(numbers)
    while waiting:
        source, sink = os.pipe()
        child = os.fork()
        if not child:
            os.close(source)
            status = 1
            try:
                _child(kind, seeds, seed, waiting, sink)
                status = 0
            finally:
                os._exit(status)
        os.close(sink)
        current = None
        for number, outcome, what in _lines(source, child):
            current = number
            if outcome == "started":
                continue
            current = None
            waiting.remove(number)
            _note(batch, kind, seeds, seed, number, outcome, what)
        status = os.waitpid(child, 0)[1]
        if current is not None:
            waiting.remove(current)
            _note(batch, kind, seeds, seed, current, "failed", f"ended the process (status {status})")
        elif waiting and status:
            raise RuntimeError(f"{kind}: the reading process ended with status {status} between two files")
    return batch


def _note(batch: Batch, kind: str, seeds: Path, seed: int, number: int, outcome: str, what: str) -> None:
    batch.outcomes[outcome] += 1
    if outcome == "failed":
        name, content = damaged(kind, seeds, seed, number)
        batch.failures.append(Failure(kind, number, what, f"{kind}-{seed}-{number}-{name}", content))
