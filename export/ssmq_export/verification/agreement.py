"""Do engines agree? Every tensor that is quantised is compared, element by element, for equality."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from ..tables import text_table

Trace = dict[str, np.ndarray]
# Sequences traced at once: a trace of 784 steps of a thousand tensors' elements is some 600 MB.
TRACED = 100


@dataclass(frozen=True)
class Engine:
    """``run(codes, tensors)`` traces codes ``(B, T)`` or ``(B, T, C)`` and always the output; ``slow`` ones take seconds a
    batch or a sequence."""

    name: str
    run: Callable[[np.ndarray, list[str]], Trace]
    slow: bool = False


@dataclass(frozen=True)
class Agreement:
    """One engine against the reference: how much was compared and what differed first (tensor and step).

    ``failed`` says why an engine that stopped stopped; what it computed before is not counted.
    """

    engine: str
    sequences: int
    codes: int
    differing: int
    first: str = ""
    seconds: float = 0.0
    failed: str = ""

    @property
    def agrees(self) -> bool:
        """Whether the engine ran and no code differs."""
        return not (self.differing or self.failed)

    def as_dict(self) -> dict:
        """``{"engine", "sequences", "codes", "differing", "first", "seconds", "failed"}``"""
        return asdict(self)

    def __add__(self, other: Agreement) -> Agreement:
        """Both, ``other`` on later sequences."""
        return Agreement(
            self.engine,
            self.sequences + other.sequences,
            self.codes + other.codes,
            self.differing + other.differing,
            self.first or other.first,
            self.seconds + other.seconds,
        )


class Agreements(list[Agreement]):
    """One row an engine, the reference first; as text, a table. ``agree`` is whether every engine ran and no code differs."""

    @property
    def agree(self) -> bool:
        return all(row.agrees for row in self)

    def __str__(self) -> str:
        rows = [
            (row.engine, row.sequences, row.codes, row.differing, f"failed: {row.failed}" if row.failed else row.first)
            for row in self
        ]
        return text_table(("engine", "sequences", "codes", "differing", "first difference"), rows)


def compare(engine: str, reference: Trace, other: Trace, start: int = 0) -> Agreement:
    """Compare two traces, tensors of steps ``(B, T, channels)`` and of the end ``(B, channels)``, over the steps both have.

    Those of the end are compared when ``other`` went through the whole sequence. ``start`` is the number of the first sequence.
    """
    length = steps(reference)
    complete = steps(other) in (None, length)
    codes = differing = sequences = 0
    first: tuple[int, str] | None = None
    for name, values in other.items():
        expected = reference[name]
        if values.ndim == 2 and not complete:
            continue
        if values.ndim == 3:
            expected = expected[:, : values.shape[1]]
        unequal = expected != values
        codes, sequences = codes + unequal.size, len(values)
        count = int(np.count_nonzero(unequal))
        differing += count
        if count:
            # The earliest step, and there the first tensor in the order of computation: all others follow from it.
            step = int(np.argmax(unequal.any(axis=(0, 2)))) if values.ndim == 3 else length or 0
            if first is None or step < first[0]:
                sequence = start + int(np.argmax(unequal[:, step].any(axis=1) if values.ndim == 3 else unequal.any(axis=1)))
                place = f"{name}, sequence {sequence}" + (f", step {step}" if values.ndim == 3 else "")
                first = step, place
    return Agreement(engine, sequences, codes, differing, first[1] if first else "")


def steps(trace: Trace) -> int | None:
    """Number of steps of a trace, None if it has only the end."""
    return next((value.shape[1] for value in trace.values() if value.ndim == 3), None)


def compare_engines(
    reference: Engine,
    others: Sequence[Engine],
    codes: np.ndarray,
    slow_sequences: int,
    on_engine: Callable[[str, int], None] = lambda engine, start: None,
) -> Agreements:
    """Run every engine over ``codes`` ``(B, T, ...)``, slow ones over the first ``slow_sequences``, and compare.

    The first row is the reference itself. An engine that raises an exception is a row that says so, and is given no more
    sequences. ``on_engine`` is called before each engine with the number of the first sequence it is given.
    """
    rows: dict[str, Agreement] = {}
    for start, stop in _chunks(len(codes), slow_sequences):
        some = codes[start:stop]
        on_engine(reference.name, start)
        began = time.perf_counter()
        expected = reference.run(some, [])
        tensors = [name for name, value in expected.items() if value.ndim == 3]
        size = sum(value.size for value in expected.values())
        found = [Agreement(reference.name, len(some), size, 0, "", time.perf_counter() - began)]
        for engine in others:
            stopped = engine.name in rows and rows[engine.name].failed
            if stopped or (engine.slow and stop > slow_sequences):
                continue
            on_engine(engine.name, start)
            found.append(_compared(engine, some, tensors, expected, start))
        for row in found:
            rows[row.engine] = rows[row.engine] + row if row.engine in rows and not row.failed else row
    return Agreements(rows.values())


def _compared(engine: Engine, codes: np.ndarray, tensors: list[str], expected: Trace, start: int) -> Agreement:
    began = time.perf_counter()
    try:
        found = compare(engine.name, expected, engine.run(codes, tensors), start)
    except Exception as error:  # other people's tools raise whatever they stumble over
        reason = " ".join(str(error).split()) or type(error).__name__
        found = Agreement(engine.name, 0, 0, 0, failed=reason)
    return replace(found, seconds=time.perf_counter() - began)


def _chunks(sequences: int, slow_sequences: int) -> list[tuple[int, int]]:
    """Ranges of at most ``TRACED`` sequences, with an edge where the slow engines stop."""
    edges = {0, sequences, min(slow_sequences, sequences)}
    for first, last in zip(sorted(edges), sorted(edges)[1:], strict=False):
        edges |= set(range(first, last, TRACED))
    ordered = sorted(edges)
    return list(zip(ordered, ordered[1:], strict=False))
