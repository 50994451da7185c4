"""``ssmq sensitivity``: which tensors deserve bits, measured on validation sequences."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from ssmq_brevitas.errors import SsmqError

from . import options
from .options import console

NAME = "sensitivity"


@options.takes_data
def command(
    checkpoint: Annotated[Path, typer.Argument(help="Float checkpoint.")],
    widths: Annotated[str, typer.Option(help="Bits to try, separated by commas.")] = "8,6,4,2",
    images: Annotated[int, typer.Option(help="Validation sequences to classify.", min=1)] = 500,
    by_layer: Annotated[bool, typer.Option("--by-layer", help="Narrow one layer at a time too.")] = False,
    plot: Annotated[Path | None, typer.Option(help="Heat map to write (.png or .svg).")] = None,
    as_json: options.AsJson = False,
    *,
    load: Callable,
) -> None:
    """Post-training accuracy with one tensor narrow and all others wide, and the memory of every layer's modes."""
    from ssmq_brevitas.checkpoint import load_checkpoint
    from ssmq_study.sensitivity import modes, ranking, sensitivity

    chosen = parse_widths(widths)
    model, config, _ = load_checkpoint(checkpoint)
    if model.quantised:
        raise SsmqError(f"{checkpoint}: is quantised already: give the float checkpoint that it was made from")
    data = load(config)
    with console.status("sensitivity") as status:

        def told(tensor: str, bits: int) -> None:
            status.update(f"sensitivity: {tensor} at {bits} bits")

        effects = list(sensitivity(model, config, data, chosen, images, by_layer, told))
    memory = modes(model, chosen)
    ranked = ranking(effects)
    if plot is not None:
        from ssmq_brevitas.plots import heat_map

        heat_map(*_grid(effects, ranked, chosen), f"{config.name}: accuracy with one tensor narrow, %", plot)
    if as_json:
        found = {
            "data": data.describe(),
            "images": min(images, len(data.y_validation)),
            "effects": [effect.as_dict() for effect in effects],
            "ranking": [name for name, _ in ranked],
            "modes": [layer.as_dict() for layer in memory],
        }
        typer.echo(json.dumps(found, indent=2))
        return
    wide = effects[0]
    console.print(_accuracies(effects, ranked, chosen, f"{config.name}: validation accuracy, %"))
    console.print(f"all wide: {100 * wide.accuracy:.2f} %", highlight=False)
    console.print(_memories(memory, chosen))


def parse_widths(text: str) -> list[int]:
    """Widths in falling order from text such as ``8,6,4``."""
    try:
        found = [int(part) for part in text.split(",")]
    except ValueError as error:
        raise SsmqError(f"--widths {text!r}: give numbers separated by commas, such as 8,6,4") from error
    if not all(2 <= bits <= 16 for bits in found):
        raise SsmqError(f"--widths {text!r}: every width must lie between 2 and 16 bits")
    return sorted(set(found), reverse=True)


def _grid(effects, ranked, widths) -> tuple[list[str], list[str], list[list[float]]]:
    by_place = {(e.tensor, e.layer, e.bits): 100 * e.accuracy for e in effects}
    names = [name for name, _ in ranked]
    layers = sorted({e.layer for e in effects if e.layer is not None})
    rows = [(name, None) for name in names] + [(n, k) for n in names for k in layers if (n, k, widths[0]) in by_place]
    labels = [name if layer is None else f"{name} in layer {layer}" for name, layer in rows]
    return labels, [str(bits) for bits in widths], [[by_place[(*row, bits)] for bits in widths] for row in rows]


def _accuracies(effects, ranked, widths, title: str) -> Table:
    table = Table(title=title)
    table.add_column("tensor, most sensitive first")
    for bits in widths:
        table.add_column(f"{bits} bits", justify="right")
    labels, _, values = _grid(effects, ranked, widths)
    for label, row in zip(labels, values, strict=True):
        table.add_row(label, *(f"{value:.1f}" for value in row))
    return table


def _memories(memory, widths) -> Table:
    table = Table(title="modes: why Ā and the state come first")
    headings = ("layer", "largest |Ā|", "its memory", "median memory", "Ā bits", "modes outside", "memory changes by")
    for heading in headings:
        table.add_column(heading, justify="right")
    for layer in memory:
        told = (str(layer.layer), f"{layer.radius:.5f}", f"{layer.memory:,.0f} steps", f"{layer.median_memory:,.0f} steps")
        for bits in widths:
            table.add_row(*told, f"{bits}", f"{layer.outside[bits]}", f"×{layer.moved[bits]:.2f}")
            told = ("", "", "", "")
    return table
