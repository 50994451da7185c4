"""``ssmq evaluate``: test accuracy from the integer engine, and the bytes that it takes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from ssmq_brevitas.errors import SsmqError

from . import options
from .accuracy import correct_answers
from .options import console

NAME = "evaluate"


@options.takes_data
def command(
    checkpoint: Annotated[Path | None, typer.Argument(help="Checkpoint, or zoo:NAME.")] = None,
    list_zoo: Annotated[bool, typer.Option("--list", help="Name the models of the zoo.")] = False,
    as_json: options.AsJson = False,
    *,
    load: Callable,
) -> None:
    """Classify every test sequence, quantised models in integers.

    A zoo model is compared with its card where the data are the card's; exit code 1 if one answer differs.
    """
    from ssmq_brevitas.checkpoint import load_checkpoint
    from ssmq_brevitas.footprint import footprint
    from ssmq_brevitas.zoo import PREFIX, card, zoo_names

    if list_zoo:
        cards = {name: card(name) for name in zoo_names()}
        typer.echo(json.dumps(cards, indent=2)) if as_json else console.print(_table(cards))
        return
    if checkpoint is None:
        raise SsmqError("give a checkpoint or zoo:NAME (ssmq evaluate --list names them)")
    model, config, _ = load_checkpoint(checkpoint)
    data = load(config)
    correct, images = correct_answers(model, data), len(data.y_test)
    found = {
        "images": images,
        "correct": correct,
        "accuracy": correct / images,
        "bytes": footprint(model).as_dict(),
        "data": {"name": data.name, "sha256": data.test_hash()},
    }
    known = card(str(checkpoint).removeprefix(PREFIX)) if str(checkpoint).startswith(PREFIX) else None
    same = known is not None and known["data"] == found["data"]
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    else:
        total = found["bytes"]["total"]
        console.print(f"{correct:,} of {images:,} correct ({100 * correct / images:.2f} %), {total:,.0f} B in all")
        if known is not None:
            told = "the card's number" if same else f"the card is for other data: {known['data']['name']}"
            console.print(told if not same or known["correct"] == correct else f"the card says {known['correct']:,}")
    raise typer.Exit(1 if same and known["correct"] != correct else 0)


def _table(cards: dict[str, dict]) -> Table:
    table = Table(title="zoo")
    for heading in ("model", "data", "test accuracy", "parameters", "state", "total"):
        table.add_column(heading, justify="left" if heading in ("model", "data") else "right")
    for name, found in cards.items():
        sizes = (f"{found['bytes'][key]:,.0f} B" for key in ("parameters", "state", "total"))
        table.add_row(f"zoo:{name}", found["data"]["name"], f"{100 * found['accuracy']:.2f} %", *sizes)
    return table
