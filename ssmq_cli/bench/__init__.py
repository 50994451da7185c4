"""``ssmq bench``: ratios measured in one run on this machine."""

from __future__ import annotations

import typer

from .. import options
from . import infer, layer, scan, train

app = typer.Typer(
    help="Times and ratios, measured in one run on this machine.", no_args_is_help=True, epilog=options.example(scan.EXAMPLE)
)
for module in (scan, layer, infer, train):
    app.command(module.NAME, epilog=options.example(module.EXAMPLE))(module.command)
