"""Small faults in the library, one a mutant: an operator, a width, a sign, a reset."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

# What is looked for and what takes its place, by kind of fault.
FAULTS = {
    "operator": [
        (r" \+ (?!:)", " - "), (r" - (?!1)", " + "), (r" & ", " | "), (r" \| ", " & "), (r" == ", " != "), (r" != ", " == "),
        (r" < (?!=)", " > "), (r" > ", " < "), (r" >= ", " > "), (r" \? (\S+) : (\S+);", r" ? \2 : \1;"),
        (r"(?<=[ (])~(?=\w)", ""), (r" \+ 1'b1", ""), (r" - 1\)", ")"), (r"<<<? ", ">> "),
    ],
    "width": [
        (r"\[(\w+)-1:0\]", r"[\1-2:0]"), (r"CYCLES\((\w+)\)", r"CYCLES(\1 + 1)"), (r"CYCLES\((\w+)\)", r"CYCLES(\1 - 1)"),
    ],
    "sign": [(r" signed ", " "), (r"_SIGNED != 0", "_SIGNED == 0")],
    "reset": [(r"if \(rst\)", "if (1'b0)"), (r"<= '0;", "<= '1;"), (r"<= 1'b0;", "<= 1'b1;"), (r"<= 1'b1;", "<= 1'b0;")],
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    file: str
    kind: str
    line: int
    text: str
    source: str


def every(library: Path, kind: str) -> list[Mutant]:
    """All mutants of a kind; comments, parameters and what silences the linter are left alone."""
    found = []
    for path in sorted(library.glob("*.sv")):
        lines = path.read_text().splitlines()
        for number, line in enumerate(lines):
            if line.lstrip().startswith(("//", "parameter")) or "unused" in line:
                continue
            for pattern, replacement in FAULTS[kind]:
                for match in re.finditer(pattern, line):
                    text = line[: match.start()] + match.expand(replacement) + line[match.end() :]
                    source = "\n".join([*lines[:number], text, *lines[number + 1 :], ""])
                    found.append(Mutant(path.name, kind, number + 1, text.strip(), source))
    return found


def drawn(library: Path, count: int, seed: int = 0) -> list[Mutant]:
    """``count`` mutants, as many of every kind, no file twice before all have been drawn from."""
    rng = np.random.default_rng(seed)
    kinds = list(FAULTS)
    pools = {kind: rng.permutation(np.array(every(library, kind), object)).tolist() for kind in kinds}
    used: dict[str, int] = {}
    found = []
    for number in range(count):
        pool = pools[kinds[number % len(kinds)]]
        mutant = min(pool, key=lambda one: used.get(one.file, 0))
        pool.remove(mutant)
        used[mutant.file] = used.get(mutant.file, 0) + 1
        found.append(mutant)
    return found
