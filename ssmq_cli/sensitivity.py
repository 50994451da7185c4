"""``ssmq sensitivity``: which tensors deserve bits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from . import options
from .output import console, print_json, say
from .tables import show

NAME = "sensitivity"
EXAMPLE = "ssmq sensitivity zoo:edge-2x16 --widths 4,6,8 --plot map.png"


@options.takes_data
def command(
    checkpoint: Annotated[Path, options.checkpoint_argument("Float checkpoint")],
    widths: Annotated[str, typer.Option(help="Widths to try, in bits.")] = "4,6,8,10,12",
    images: Annotated[int, typer.Option(help="Validation images.", **options.COUNT)] = 500,
    plot: Annotated[Path | None, typer.Option(help="Picture of the table (.png, .svg, .pdf).")] = None,
    preset: Annotated[str | None, typer.Option("--preset", "-p", help="Take the scheme from there.")] = None,
    as_json: options.AsJson = False,
    *,
    load: Callable,
) -> None:
    """Accuracy and output error on validation images with one tensor narrow and all others 16 bits wide: all tensors of a
    kind (C of every layer), and every single one.

    Nothing is trained. Ranks what deserves bits and says what the grid of Ā does to its eigenvalues.
    """
    from ssmq_study.plots import heat_map
    from ssmq_study.sensitivity import Bench, explanation, sensitivity, sensitivity_tables

    if plot is not None:
        options.refuse_picture(plot)
    numbers = options.widths(widths)
    floating, config = options.float_model(checkpoint, preset)
    bench = Bench(floating, load(config), images)
    with console.status("sensitivity") as status:
        found = sensitivity(bench, config, numbers, lambda tensor, width: status.update(f"{tensor}: {width} bits"))
    if plot is not None:
        heat_map(found, plot)
    if as_json:
        print_json(found)
        return
    for table in sensitivity_tables(found):
        show(table)
    console.print(explanation(found))
    if plot is not None:
        say(f"-> {plot}")
