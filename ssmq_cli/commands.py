"""All commands under one name."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated

import typer

from . import (
    bench,
    board,
    check,
    doctor,
    estimate,
    evaluate,
    export,
    finn,
    footprint,
    hls4ml,
    host,
    import_layer,
    lower,
    options,
    ptq,
    report,
    rtl,
    run,
    search,
    sensitivity,
    simulate,
    study,
    synth,
    train,
    verify,
    view,
)

app = typer.Typer(
    name="ssmq",
    help="Quantised S4D from PyTorch and Brevitas to QONNX and integer FPGA dataflow graphs, bit for bit.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    epilog=options.example(run.EXAMPLE),
)
COMMANDS = (run, train, import_layer, ptq, footprint, export, lower, check, verify, estimate, finn, hls4ml) + (
    rtl,
    simulate,
    synth,
    board,
    host,
    sensitivity,
    search,
    evaluate,
    report,
    view,
    doctor,
)
for module in COMMANDS:
    app.command(module.NAME, epilog=options.example(module.EXAMPLE))(module.command)
app.add_typer(bench.app, name="bench")
app.add_typer(study.app, name="study")


def _tell_version(asked: bool) -> None:
    if asked:
        typer.echo(f"ssmq {version('ssmq-brevitas')}")
        raise typer.Exit()


@app.callback()
def ssmq(
    told: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Tell the version and end.")
    ] = False,
) -> None:
    """Options of the program itself. What it is, ``app`` says."""


def execute(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; errors, and what a signal raises, pass through."""
    command = typer.main.get_command(app)
    if "_SSMQ_COMPLETE" in os.environ:  # a shell asks what could follow
        command(prog_name="ssmq")
    try:
        with command.make_context("ssmq", list(arguments)) as context:
            command.invoke(context)
    except typer.Exit as done:
        return done.exit_code
    return 0
