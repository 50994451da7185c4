"""A board's whole design in Verilator, behind a pseudo-terminal that any program of the computer opens as a serial port."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from pathlib import Path

from ..errors import ExportError
from ..rtl.project import RTL
from ..rtl.simulator import verilated
from .design import load_design
from .top import TOP

BRIDGE = Path(__file__).with_name("bridge.cpp")
# Clocks a second of a slow computer that is busy, and the seconds that it may do nothing.
SPEED, PAUSE = 200_000, 0.5


def compiled_board(folder: Path, build: Path, optimise: str = "-O3") -> Path:
    """The program that is the board of ``folder``, compiled in ``build``."""
    sources = folder / RTL
    return verilated(TOP, sources, sorted(sources.glob("*.sv")), BRIDGE, build, optimise)


class SimulatedBoard:
    """A context in which ``port`` is the name of the terminal. ``drift``: by how much a bit is longer there than on the board;
    ``program``: what ``compiled_board`` gave, where it is there already.

    The board's clock stands still while nothing is on the line, and it is slower than a real one: ``patience`` is for it.
    """

    def __init__(self, folder: Path | str, drift: float = 0.0, program: Path | None = None):
        self.folder, self.drift, self.program = Path(folder), drift, program
        self.design = load_design(self.folder)
        self.patience = self.design.turnaround / SPEED + PAUSE

    def __enter__(self) -> SimulatedBoard:
        with contextlib.ExitStack() as stack:
            program = self.program
            if program is None:
                scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ssmq-board-")))
                program = compiled_board(self.folder, scratch)
            self.port = self._started(program)
            self._scratch = stack.pop_all()
        return self

    def _started(self, program: Path) -> str:
        """Run ``program``, which ends with this process, which holds its input."""
        words = [str(program), str(self.design.divisor * (1 + self.drift)), str(2 * self.design.turnaround)]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(words, cwd=self.folder / RTL, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        assert self._process.stdout is not None
        port = self._process.stdout.readline().strip()
        if not port:
            raise ExportError(f"the simulated board failed: {self._process.communicate()[1].strip() or 'it said nothing'}")
        return port

    def __exit__(self, *raised: object) -> None:
        self._process.communicate()
        self._scratch.close()
