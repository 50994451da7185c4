"""Damaged files through every reader: no traceback, no hang over 10 s, no more than 2 GiB, no nonsense accepted.

    python scripts/fuzz --count 100000          # over all kinds, a share for each
    python scripts/fuzz --kinds toml,npz --count 500 --keep failing/

Deterministic by --seed. Exit code 1 if one input failed; --keep leaves such inputs in a folder.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Annotated

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("NUMBA_NUM_THREADS", "1")

import typer
from batches import Failure, run_batch
from kinds import KINDS
from seeds import write_seeds
from ssmq_brevitas.errors import SsmqError
from ssmq_export.errors import ExportError

BATCH = 50
SHARES = {"verify": 1, "lower": 3, "integer": 5, "checkpoint": 10, "state": 5}


def _shares(count: int, kinds: list[str]) -> dict[str, int]:
    """Kinds whose sense takes an execution to see have smaller shares."""
    weights = {kind: SHARES.get(kind, 20) for kind in kinds}
    total = sum(weights.values())
    return {kind: max(1, round(count * weight / total)) for kind, weight in weights.items()}


def _seeds(folder: Path, kinds: list[str]) -> None:
    """Make the seeds in a process of their own: this one must not start threads, for it forks.

    Every reader reads those that are whole: it accepts one or is broken, and it compiles its kernels, which takes longer
    than a damaged input may.
    """
    child = os.fork()
    if not child:
        write_seeds(folder)
        for kind in kinds:
            if not sum(_accepted(kind, whole, folder) for whole in sorted(folder.glob(KINDS[kind].seeds))):
                sys.exit(f"{kind}: no whole file is accepted")
        sys.stdout.flush()
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        raise SystemExit("the valid files could not be made")


def _accepted(kind: str, whole: Path, seeds: Path) -> bool:
    """Some kinds are given whole files of another form too."""
    try:
        KINDS[kind].read(whole, seeds)
    except (SsmqError, ExportError):
        return False
    return True


def main(
    count: Annotated[int, typer.Option(help="Damaged inputs in all.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Seed of the damage.")] = 0,
    kinds: Annotated[str, typer.Option(help="Kinds of files, with commas; all by default.")] = ",".join(KINDS),
    keep: Annotated[Path | None, typer.Option(help="Folder for inputs that failed.")] = None,
    out: Annotated[Path | None, typer.Option("--json", help="File for the counts.")] = None,
) -> None:
    """Damage valid files and read them."""
    failures: list[Failure] = []
    table: dict[str, dict] = {}
    with tempfile.TemporaryDirectory(prefix="fuzz-") as scratch:
        seeds = Path(scratch) / "seeds"
        _seeds(seeds, kinds.split(","))
        for kind, inputs in _shares(count, kinds.split(",")).items():
            began, outcomes = time.monotonic(), Counter()
            for start in range(0, inputs, BATCH):
                jobs = range(start, min(start + BATCH, inputs))
                found = run_batch(kind, seeds, Path(scratch), seed, jobs)
                outcomes.update(found.outcomes)
                failures += found.failures
            table[kind] = {"inputs": inputs, **outcomes, "seconds": round(time.monotonic() - began, 1)}
            typer.echo(f"{kind}: {table[kind]}")
    for failure in failures:
        typer.echo(f"FAILED {failure.kind} {failure.number}: {failure.what}")
        if keep is not None:
            keep.mkdir(parents=True, exist_ok=True)
            (keep / failure.name).write_bytes(failure.content)
    if out is not None:
        out.write_text(json.dumps({"seed": seed, "kinds": table, "failed": len(failures)}, indent=2) + "\n")
    typer.echo(f"{sum(row['inputs'] for row in table.values())} inputs, {len(failures)} failed")
    raise typer.Exit(1 if failures else 0)


if __name__ == "__main__":
    typer.run(main)
