"""The benches see small faults: of fifty drawn ones at most two live."""

from __future__ import annotations

import math
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from bench import Bench, bench, build
from mutants import Mutant, drawn
from ssmq_export import rtl
from ssmq_export.errors import ExportError
from ssmq_export.rtl import simulator
from ssmq_export.rtl.names import LIBRARY, Names
from test_modules import PAUSES, cases

COUNT, MOST_ALIVE = 50, 2
# Cases compiled as one model.
AT_ONCE = 6


def users(module: str) -> set[str]:
    """The modules that hold an instance of ``module``, itself included."""
    texts = {path.stem: path.read_text() for path in LIBRARY.glob("*.sv")}
    found = {module}
    while more := {name for name, text in texts.items() if found & set(re.findall(r"ssmq_\w+", text))} - found:
        found |= more
    return found


def wrong(found: Bench) -> str:
    """What differs first in a bench, nothing if all is as it should be."""
    for name, pauses in PAUSES.items():
        for number, (codes, last, cycles) in enumerate(found.run(*pauses, seed=7)):
            case = found.cases[number]
            if not np.array_equal(codes, case.expected()):
                return f"codes of {case.name}"
            if not (np.all(last[:, -1] == 1) and not np.any(last[:, :-1])):
                return f"flags of {case.name}"
            if name == "steady" and not np.array_equal(cycles, found.foretold(number)):
                return f"cycles of {case.name}"
    return ""


def killed_by(mutant: Mutant, folder: Path) -> str:
    """What a mutant fails at; nothing if it lives. Cases that use its module are run, a few at a time until one fails."""
    library, module = folder / "library", mutant.file.removesuffix(".sv")
    shutil.copytree(LIBRARY, library)
    (library / mutant.file).write_text(mutant.source)
    concerned = users(module)
    known = [case for case in cases(0) if any(cell.module in concerned for cell in build(case, Names()))]
    groups = math.ceil(len(known) / AT_ONCE)
    for number in range(groups):
        try:
            # Neighbours are alike, so a group takes those that lie far apart.
            found = wrong(bench(known[number::groups], folder / f"bench{number}", library))
        except ExportError as error:
            found = str(error)
        if found:
            return found
    return ""


@pytest.mark.slow
@pytest.mark.skipif(not rtl.available(), reason=rtl.INSTALL)
def test_the_benches_kill_drawn_mutants(tmp_path, monkeypatch):
    # The linter sees most faults of width by itself; here the benches alone must.
    monkeypatch.setattr(simulator, "OPTIONS", (*simulator.OPTIONS, "-Wno-fatal"))
    alive = []
    for number, mutant in enumerate(drawn(LIBRARY, COUNT)):
        if not killed_by(mutant, tmp_path / str(number)):
            alive.append(f"{mutant.file}:{mutant.line}: {mutant.text}")
        shutil.rmtree(tmp_path / str(number))
    assert len(alive) <= MOST_ALIVE, alive
