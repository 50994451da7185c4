"""Entry point: commands, and errors as one line."""

from __future__ import annotations

import sys

import typer
from rich.text import Text
from ssmq_brevitas.errors import Interrupted, SsmqError
from ssmq_export.errors import ExportError

from . import (
    bench,
    check,
    estimate,
    evaluate,
    export,
    finn,
    footprint,
    hls4ml,
    lower,
    ptq,
    report,
    run,
    search,
    sensitivity,
    study,
    train,
    verify,
    view,
)
from .options import errors

app = typer.Typer(
    name="ssmq",
    help="Quantised S4D from PyTorch and Brevitas to QONNX and integer FPGA dataflow graphs, bit for bit.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
COMMANDS = (
    (run, train, ptq, footprint, export, lower, check, verify, estimate, finn, hls4ml)
    + (sensitivity, search, evaluate, report, view)
)
for module in COMMANDS:
    app.command(module.NAME)(module.command)
app.add_typer(bench.app, name="bench")
app.add_typer(study.app, name="study")


def main() -> None:
    """Run the command line; every expected failure ends in one line and a non-zero exit."""
    try:
        app()
    except (SsmqError, ExportError) as error:
        _fail(str(error), 130 if isinstance(error, Interrupted) else 1)
    except OSError as error:
        _fail(f"{error.filename}: {error.strerror}" if error.filename else str(error), 1)


def _fail(message: str, code: int) -> None:
    errors.print("[bold red]error:[/]", Text(" ".join(message.split())), highlight=False, soft_wrap=True)
    sys.exit(code)
