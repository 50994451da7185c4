"""All commands under one name."""

from __future__ import annotations

from collections.abc import Sequence

import typer

from . import (
    bench,
    check,
    estimate,
    evaluate,
    export,
    finn,
    footprint,
    hls4ml,
    import_layer,
    lower,
    ptq,
    report,
    rtl,
    run,
    search,
    sensitivity,
    simulate,
    study,
    train,
    verify,
    view,
)

app = typer.Typer(
    name="ssmq",
    help="Quantised S4D from PyTorch and Brevitas to QONNX and integer FPGA dataflow graphs, bit for bit.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
COMMANDS = (run, train, import_layer, ptq, footprint, export, lower, check, verify, estimate, finn, hls4ml) + (
    rtl,
    simulate,
    sensitivity,
    search,
    evaluate,
    report,
    view,
)
for module in COMMANDS:
    app.command(module.NAME)(module.command)
app.add_typer(bench.app, name="bench")
app.add_typer(study.app, name="study")


def execute(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; errors, and what a signal raises, pass through."""
    command = typer.main.get_command(app)
    try:
        with command.make_context("ssmq", list(arguments)) as context:
            command.invoke(context)
    except typer.Exit as done:
        return done.exit_code
    return 0
