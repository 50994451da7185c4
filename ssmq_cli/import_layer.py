"""``ssmq import``: a published S4D layer out of a checkpoint, without the code that it was trained with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from . import options
from .output import console, print_json, say

if TYPE_CHECKING:
    from ssmq_brevitas.published.recognise import Found

NAME = "import"
EXAMPLE = "ssmq import s4.safetensors --layer s4_layers.0 --out layer.safetensors"
_PANEL = {"rich_help_panel": "What the weights do not tell"}
_TRANSFORM = "exp, none, relu, sigmoid or softplus."


def command(
    checkpoint: Annotated[Path, typer.Argument(help="A safetensors file of weights, from state-spaces/s4.")],
    layer: Annotated[str | None, typer.Option(help="Path of the layer, as s4_layers.0; without it, layers are listed.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="File for the layer.")] = None,
    discretization: Annotated[str, typer.Option(help="The layer's disc: zoh or bilinear.", **_PANEL)] = "zoh",
    real_transform: Annotated[str, typer.Option(help=f"Of A's real part: {_TRANSFORM}", **_PANEL)] = "exp",
    imag_transform: Annotated[str, typer.Option(help=f"Of A's imaginary part: {_TRANSFORM}", **_PANEL)] = "none",
    dt_transform: Annotated[str, typer.Option(help=f"Of the step: {_TRANSFORM}", **_PANEL)] = "exp",
    dt_fast: Annotated[bool, typer.Option("--dt-fast", help="The step is kept under a sinh.", **_PANEL)] = False,
    bandlimit: Annotated[
        float | None, typer.Option(help="Modes from this frequency on are off.", **options.number(1e-9, 1e9), **_PANEL)
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Write the S4D of a published layer, for ssmq_brevitas.published.load_layer.

    Weights alone: what they do not tell is believed, and written into the file. With the code, convert() checks it.
    """
    from ssmq_brevitas.errors import SsmqError
    from ssmq_brevitas.published import save_layer
    from ssmq_brevitas.published.conventions import Conventions
    from ssmq_brevitas.published.layer_file import layers_of

    if (layer is None) != (out is None):
        raise SsmqError("--layer and --out go together: give both, or neither to list the layers")
    if layer is None or out is None:
        _list(checkpoint, layers_of(checkpoint), as_json)
        return
    conventions = Conventions(discretization, real_transform, imag_transform, dt_transform, dt_fast, bandlimit)
    found = save_layer(checkpoint, layer, out, conventions)
    told = f"{found.formulation.name}, {found.heads} heads of {found.modes} modes"
    if as_json:
        print_json({"layer": found.path, "out": str(out), **_about(found)})
    else:
        say(f"{found.place}: {told}, taken for {conventions.told()} -> {out}")


def _about(found: Found) -> dict:
    if found.refusal:
        return {"refused": found.refusal}
    return {"formulation": found.formulation.name, "heads": found.heads, "modes": found.modes}


def _list(checkpoint: Path, layers: list[Found], as_json: bool) -> None:
    if as_json:
        print_json({"layers": [{"layer": found.path, **_about(found)} for found in layers]})
        return
    table = Table(title=f"{checkpoint}: {len(layers) or 'no'} state-space layers")
    for heading in ("layer", "what", "heads", "modes"):
        table.add_column(heading, justify="right" if heading in ("heads", "modes") else "left")
    for found in layers:
        row = _about(found)
        table.add_row(
            found.place, row.get("formulation", found.refusal), *(str(row.get(key, "-")) for key in ("heads", "modes"))
        )
    console.print(table)
