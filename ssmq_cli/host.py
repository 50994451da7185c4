"""``ssmq host``: test data to a board over its serial line, and classes back."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from . import options
from .output import console, print_json, say
from .simulate import test_codes

NAME = "host"
EXAMPLE = "ssmq host build/board --port /dev/ttyUSB0 --images 100"


@options.takes_data
def command(
    folder: Annotated[Path, typer.Argument(help="Folder of `ssmq board`.")],
    port: Annotated[str | None, typer.Option(help="Serial port of the board, such as /dev/ttyUSB0 or COM3.")] = None,
    simulate: Annotated[bool, typer.Option("--simulate", help="Run the board in Verilator, in place of a port.")] = False,
    images: Annotated[int, typer.Option(help="Test sequences to send.", **options.COUNT)] = 20,
    as_json: options.AsJson = False,
    *,
    load: Callable,
) -> None:
    """Send sequences, receive a class for each, repeat what was damaged on the way; compare with the graph's own classes.

    Exit code 1 if a class is another one than the graph's. The rate counts the serial line, the board and the repeats.
    """
    from ssmq_export.boards import Host, SimulatedBoard, load_design
    from ssmq_export.boards.host import open_line, patience
    from ssmq_export.dataflow.graph import DataflowGraph
    from ssmq_export.errors import ExportError
    from ssmq_export.rtl.comparison import graph_of
    from ssmq_export.rtl.evaluate import evaluated

    design = load_design(folder)
    if (port is None) == (not simulate):
        raise ExportError("give --port, or --simulate in its place")
    graph = graph_of(folder)
    codes, labels = test_codes(folder, graph, images, load)
    with console.status("compile") as status, contextlib.ExitStack() as stack:
        if port is None:
            board = stack.enter_context(SimulatedBoard(folder))
            line = open_line(board.port, design.baud, board.patience)
        else:
            line = open_line(port, design.baud, patience(design))
        host = Host(stack.enter_context(line), design)
        host.hello()
        began = time.perf_counter()
        answers = host.classify(codes, lambda done: status.update(f"{done} of {len(codes)} sequences"))
        seconds = time.perf_counter() - began
    found = [answer.label for answer in answers]
    expected = evaluated(DataflowGraph(graph), codes).argmax(axis=1).tolist()
    told = {
        "sequences": len(found),
        "correct": None if labels is None else sum(int(a == b) for a, b in zip(found, labels.tolist(), strict=True)),
        "differing": sum(a != b for a, b in zip(found, expected, strict=True)),
        "resent": host.resent,
        "errors": sum(host.errors.values()),
        "seconds": seconds,
        "simulated": simulate,
    }
    if as_json:
        print_json(told)
    else:
        console.print(_table(folder, told))
        if labels is None:
            say("random codes: the graph does not say which data it is for")
    raise typer.Exit(1 if told["differing"] else 0)


def _table(folder: Path, told: dict) -> Table:
    table = Table(title=f"{folder}: {'in Verilator' if told['simulated'] else 'the board'} against the graph")
    for heading in ("sequences", "correct", "differing", "resent", "errors", "time", "sequences a second"):
        table.add_column(heading, justify="right")
    count = told["sequences"]
    correct = "-" if told["correct"] is None else f"{told['correct']:,} ({told['correct'] / count:.2%})"
    rate = "-" if told["simulated"] else f"{count / told['seconds']:.1f}"
    counts = (f"{told[key]:,}" for key in ("differing", "resent", "errors"))
    table.add_row(f"{count:,}", correct, *counts, f"{told['seconds']:.1f} s", rate)
    return table
