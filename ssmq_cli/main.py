"""Entry point: commands, and errors as one line."""

from __future__ import annotations

import sys

import typer
from ssmq_brevitas.errors import SsmqError
from ssmq_export.errors import ExportError

from . import check, export, footprint, ptq, run, train, view
from .options import errors

app = typer.Typer(
    name="ssmq",
    help="Quantised S4D from PyTorch and Brevitas to QONNX and integer FPGA dataflow graphs, bit for bit.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
for module in (run, train, ptq, footprint, export, check, view):
    app.command(module.NAME)(module.command)


def main() -> None:
    """Run the command line; every expected failure ends in one line and a non-zero exit."""
    try:
        app()
    except (SsmqError, ExportError) as error:
        errors.print(f"[bold red]error:[/] {error}", highlight=False, soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        errors.print("[bold red]interrupted[/]", highlight=False)
        sys.exit(130)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        errors.print(f"[bold red]error:[/] {place}{error.strerror or error}", highlight=False, soft_wrap=True)
        sys.exit(1)
