"""``ssmq evaluate``: how a quantised model does on test data, from the integer engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from . import options
from .output import errors, print_json, say
from .tables import show

NAME = "evaluate"
EXAMPLE = "ssmq evaluate zoo:edge-4x16-w6a8"


@options.takes_data
def command(
    model: Annotated[str, typer.Argument(help="zoo:NAME, or a quantised checkpoint.")] = "",
    list_models: Annotated[bool, typer.Option("--list", help="Name the models of the zoo.")] = False,
    card: Annotated[str | None, typer.Option(help="Write the model's card: the command that made it.")] = None,
    as_json: options.AsJson = False,
    *,
    load: Callable,
) -> None:
    """Run all test sequences on the integer engine, and compare what it tells of them with the model's card.

    The card is NAME.json beside NAME.safetensors. Exit code 1 if it has another number for the same data.
    """
    from ssmq_brevitas.errors import SsmqError
    from ssmq_brevitas.zoo import locate
    from ssmq_study.cards import load_card, measure, write_card
    from ssmq_study.zoo_table import zoo_cards, zoo_table

    if list_models:
        if as_json:
            print_json({"models": [card.model_dump(mode="json") for card in zoo_cards()]})
        else:
            show(zoo_table())
        return
    if not model:
        raise SsmqError("which model? give zoo:NAME or a checkpoint; --list names the zoo")
    checkpoint = locate(model)
    loaded = options.quantized_model(checkpoint)
    data = load(loaded[0].config)
    found, sizes = measure(loaded[0], data), loaded[0].footprint().as_dict()
    known = load_card(checkpoint) if card is None else write_card(checkpoint, loaded, card, found)
    if as_json:
        print_json({**found.numbers(), "bytes": sizes["total"]})
    else:
        say(f"{data.name} ({data.source}): {found}, {sizes['total']:,.0f} bytes")
    expected = None if known is None else known.on(found.data_hash)
    if card is not None:
        say(f"-> {checkpoint.with_suffix('.json')}")
    elif expected is None:
        errors.print("no card has a number for this data")
    elif expected.numbers() != found.numbers():
        raise SsmqError(f"{model}: its card says of this data: {expected}; not {found}")
    elif not as_json:
        say("exactly as its card says")
