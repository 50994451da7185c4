"""``ssmq search``: widths and grids under a budget of bytes, or of LUTs at a rate."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from ssmq_brevitas.errors import SsmqError

from . import options
from .output import console, print_json, say
from .rtl import Shape
from .tables import show

if TYPE_CHECKING:
    from rich.status import Status
    from ssmq_brevitas.config import Config
    from ssmq_study.cost import CostModel
    from ssmq_study.sensitivity import Bench

NAME = "search"
EXAMPLE = "ssmq search zoo:edge-2x16 --budget 3500 --out runs/search"
# Budgets of a front by the integer program.
POINTS = 16


class Objective(StrEnum):
    BYTES = "bytes"
    LUT = "lut"


@options.takes_data
def command(
    checkpoint: Annotated[Path, options.checkpoint_argument("Float checkpoint")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the front: JSON, plot, scheme files.")],
    budget: Annotated[
        float | None, typer.Option(help="Of the objective; without it, a front.", **options.number(1, 1e12))
    ] = None,
    objective: Annotated[Objective, typer.Option(help="What the budget counts.")] = Objective.BYTES,
    target: Annotated[str | None, typer.Option(help="Part whose LUTs are counted, as for ssmq estimate.")] = None,
    shape: Annotated[Shape, typer.Option(help="Shape whose LUTs are counted, as for ssmq rtl.")] = "dataflow",
    fps: Annotated[
        float | None, typer.Option(help="Fold for so many sequences a second, and count the LUTs.", **options.RATE)
    ] = None,
    clock: Annotated[float, typer.Option(help="Clock in MHz, with --fps.", **options.MEGAHERTZ)] = 100.0,
    trials: Annotated[int, typer.Option(help="Go on to so many Optuna trials (the thorough way).", min=0, max=1_000_000)] = 0,
    storage: Annotated[
        str | None, typer.Option(help="Optuna storage to share, each adding --trials; else OUT/search.db.")
    ] = None,
    widths: Annotated[str, typer.Option(help="Widths to choose from, in bits.")] = "3,4,5,6,8,10,12",
    images: Annotated[int, typer.Option(help="Validation images.", **options.COUNT)] = 500,
    per_tensor: Annotated[
        bool, typer.Option("--per-tensor", help="A width for every single tensor, not one for all of a kind.")
    ] = False,
    preset: Annotated[str | None, typer.Option("--preset", "-p", help="Take the scheme from there.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the trials; workers on a --storage have their own.", **options.SEEDS)] = 0,
    as_json: options.AsJson = False,
    *,
    load: Callable,
) -> None:
    """Choose the widths of all tensors, by kind or with --per-tensor one by one: exactly, by sensitivities and an
    integer program; with --trials by Optuna too.

    Optuna varies the grid of Ā (Cartesian, or magnitude and phase) and the granularity of the scales as well, and
    starts from what the program found. Any number of processes may work on one --storage. Schemes are judged on
    validation images, nothing is trained; the scheme files are presets for `ssmq ptq` and `ssmq train --from`.

    --objective lut counts the LUTs that the RTL in --shape takes on --target by estimate; its other resources must suffice
    too. A budget of cycles is a rate: --fps N allows clock / N cycles a sequence. Folding keeps it whatever the widths; they
    decide how many LUTs that takes.
    """
    from ssmq_brevitas.files import sole_use
    from ssmq_study.search_tables import front_table, write_front
    from ssmq_study.sensitivity import Bench
    from ssmq_study.storage import sqlite

    numbers, cost = options.widths(widths), _cost(objective, target, fps, clock, shape)
    floating, config = options.float_model(checkpoint, preset)
    bench = Bench(floating, load(config), images)
    with sole_use(out), console.status("sensitivity") as status:
        candidates = _guided(bench, config, numbers, budget, cost, per_tensor, status)
        if trials:
            store = (storage, None) if storage else (sqlite(out / "search.db"), seed)
            candidates = _tried(bench, config, numbers, trials, store, candidates, cost, per_tensor, status)
        if budget is not None:
            candidates = [entry for entry in candidates if entry[cost.unit] <= budget]
        found = write_front(bench, config, candidates, out, cost, per_tensor)
    if as_json:
        print_json(found)
    else:
        show(front_table(found))
        say(f"front.json, front.png and scheme files are in {out}")


def _guided(
    bench: Bench,
    config: Config,
    widths: list[int],
    budget: float | None,
    cost: CostModel,
    per_tensor: bool,
    status: Status,
) -> list[dict]:
    """What the integer program finds: a front, or the best within ``budget``."""
    from ssmq_study.allocation import guided_front, guided_within
    from ssmq_study.sensitivity import sensitivity

    tried = lambda tensor, width: status.update(f"{tensor}: {width} bits")  # noqa: E731
    told = sensitivity(bench, config, widths, tried, by_role=not per_tensor, by_tensor=per_tensor)
    status.update("integer program")
    if budget is None:
        return guided_front(bench, config, told, POINTS, cost)
    return [guided_within(bench, config, told, budget, cost)]


def _tried(
    bench: Bench,
    config: Config,
    widths: list[int],
    trials: int,
    store: tuple[str, int | None],
    candidates: list[dict],
    cost: CostModel,
    per_tensor: bool,
    status: Status,
) -> list[dict]:
    """What Optuna finds beside ``candidates`` in so many trials, kept in ``store``: an address and a seed."""
    from ssmq_study.optuna_search import search

    tell = lambda number: status.update(f"trial {number} done")  # noqa: E731
    return search(bench, config, widths, trials, *store, candidates, cost, tell, per_tensor)


def _cost(objective: Objective, target: str | None, fps: float | None, clock: float, shape: Shape) -> CostModel:
    from ssmq_export.estimates import find_part
    from ssmq_study.cost import BYTES, Luts

    if objective is Objective.BYTES:
        if target is not None or fps is not None or shape != "dataflow":
            raise SsmqError("--target, --fps and --shape are for --objective lut: bytes depend on none of them")
        return BYTES
    if target is None:
        raise SsmqError("--objective lut needs a part: --target, as ssmq estimate takes it")
    return Luts(find_part(target), fps, clock, shape)
