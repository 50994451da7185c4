"""``ssmq search``: widths under a byte budget."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from . import options
from .options import console
from .tables import show

NAME = "search"


@options.takes_data
def command(
    checkpoint: Annotated[Path, typer.Argument(help="Float checkpoint.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the front: JSON, plot, scheme files.")],
    budget: Annotated[float | None, typer.Option(help="Bytes; without it, a front over all sizes.", min=1)] = None,
    trials: Annotated[int, typer.Option(help="Go on with so many Optuna trials (the thorough way).", min=0)] = 0,
    storage: Annotated[str | None, typer.Option(help="Optuna storage to share; else OUT/search.db.")] = None,
    widths: Annotated[str, typer.Option(help="Widths to choose from, in bits.")] = "3,4,5,6,8,10,12",
    images: Annotated[int, typer.Option(help="Validation images.", min=1)] = 500,
    preset: Annotated[str | None, typer.Option("--preset", "-p", help="Take the scheme from there.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the trials; workers on a --storage have their own.")] = 0,
    as_json: options.AsJson = False,
    *,
    load: Callable,
) -> None:
    """Choose the widths of all tensors: exactly, by sensitivities and an integer program; with --trials by Optuna too.

    Optuna varies the grid of Ā and the granularity of the scales as well, and starts from what the program found. Any
    number of processes may work on one --storage. Schemes are judged on validation images, nothing is trained; the
    scheme files are presets for `ssmq ptq` and `ssmq train --from`.
    """
    from ssmq_study.allocation import guided
    from ssmq_study.optuna_search import search
    from ssmq_study.search_tables import front_table, write_front
    from ssmq_study.sensitivity import Bench, sensitivity

    numbers = options.widths(widths)
    floating, config = options.float_model(checkpoint, preset)
    bench = Bench(floating, load(config), images)
    out.mkdir(parents=True, exist_ok=True)
    with console.status("sensitivity") as status:
        told = sensitivity(bench, config, numbers, lambda tensor, width: status.update(f"{tensor}: {width} bits"))
        status.update("integer program")
        candidates = guided(bench, config, told, 16 if budget is None else [budget])
        if trials:
            place = storage or f"sqlite:///{(out / 'search.db').resolve()}"
            done = lambda number: status.update(f"trial {number} done")  # noqa: E731
            candidates = search(bench, config, numbers, trials, place, None if storage else seed, candidates, done)
    if budget is not None:
        candidates = [entry for entry in candidates if entry["bytes"] <= budget]
    found = write_front(bench, config, candidates, out)
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    show(front_table(found))
    console.print(f"front.json, front.png and scheme files are in {out}", highlight=False, soft_wrap=True)
