"""``ssmq finn``: the real FINN compiler on a dataflow graph."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from . import options
from .options import console

NAME = "finn"


def command(
    graph: Annotated[Path, typer.Argument(help="A dataflow graph (dataflow.onnx of ssmq export).")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Build folder to leave; it must not exist.")],
    part: Annotated[str, typer.Option(help="FPGA part.")] = "xc7z020clg400-1",
    fps: Annotated[float, typer.Option(help="Sequences a second to fold for.", min=0.001)] = 10.0,
    clock: Annotated[float, typer.Option(help="Clock, MHz.", min=1)] = 100.0,
    as_json: options.AsJson = False,
) -> None:
    """Run finn-plus's own steps up to Vivado: convert, partition, specialise, fold, minimise widths, estimate.

    OUT is what a user with Vivado goes on from: FINN's graph, configuration, folding, reports, and loopback.json with
    the state streams. Exit code 1 if a node is not mapped to hardware.
    """
    from ssmq_export.finn import compile_graph

    with console.status("finn-plus"):
        found = compile_graph(graph, part, fps, 1000 / clock, out)
    if as_json:
        typer.echo(json.dumps(found.as_dict(), indent=2))
    else:
        table = Table(title=f"{graph}: finn-plus for {part}, {fps:g} sequences a second at {clock:g} MHz")
        for heading in ("nodes", "mapped", "partitions", "cycles a step", *found.resources):
            table.add_column(heading, justify="right")
        numbers = (found.nodes, found.mapped, found.partitions, found.cycles, *found.resources.values())
        table.add_row(*(f"{number:,.0f}" for number in numbers))
        console.print(table)
        for node in found.unmapped:
            console.print(f"not mapped: {node['op']} {node['node']}", highlight=False)
        console.print(f"the build folder is {out}", highlight=False, soft_wrap=True)
    raise typer.Exit(1 if found.unmapped else 0)
