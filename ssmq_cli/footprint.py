"""``ssmq footprint``: bytes of a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from rich.table import Table

from . import options
from .output import console, print_json

NAME = "footprint"
EXAMPLE = "ssmq footprint zoo:edge-4x16-w6a8"


def command(
    checkpoint: Annotated[Path, options.checkpoint_argument("Float or quantised checkpoint")],
    as_json: options.AsJson = False,
) -> None:
    """Bytes of parameters, state and total, and the FP32 total by the same count."""
    from ssmq_brevitas.checkpoint import load_checkpoint

    found = load_checkpoint(checkpoint)[0].footprint()
    if as_json:
        print_json(found.as_dict())
        return
    table = Table(title=options.own_name(checkpoint))
    for heading in ("parameters", "state", "total", "FP32 total", "saved"):
        table.add_column(heading, justify="right")
    sizes = (found.parameters, found.state, found.total, found.fp32_total)
    table.add_row(*(f"{size:,.0f} B" for size in sizes), f"{100 * found.saved:.2f} %")
    console.print(table)
