"""``ssmq finn``: the real FINN compiler on a dataflow graph."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from . import options
from .output import console, print_json, say

NAME = "finn"
EXAMPLE = "ssmq finn graphs/dataflow.onnx --part xc7z020clg400-1 --fps 1000 --out build"


def command(
    graph: Annotated[Path, typer.Argument(help="dataflow.onnx or sequence-dataflow.onnx of ssmq export.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Build folder to leave; it must not exist.")],
    part: Annotated[str, typer.Option(help="FPGA part.", **options.XILINX)] = "xc7z020clg400-1",
    fps: Annotated[
        float | None,
        typer.Option(help="Sequences a second to fold for. Default: the graph's own folding, else 10.", **options.RATE),
    ] = None,
    clock: Annotated[float, typer.Option(help="Clock, MHz.", **options.MEGAHERTZ)] = 100.0,
    as_json: options.AsJson = False,
) -> None:
    """Run finn-plus's own steps up to Vivado: convert, partition, specialise, fold, minimise widths, estimate.

    OUT is what a user with Vivado goes on from: FINN's graph, configuration, folding, reports, and loopback.json with
    the state streams of a step graph. The estimates count one time step, or the sequence where the graph is one. Exit
    code 1 if a node is not mapped to hardware.
    """
    from ssmq_export.finn import IllegalGraph, compile_graph

    try:
        with console.status("finn-plus"):
            found = compile_graph(graph, part, fps, 1000 / clock, out)
    except IllegalGraph as error:
        raise IllegalGraph(f"{error} (ssmq check {graph})") from error
    if as_json:
        print_json(found.as_dict())
    else:
        rate = "its folding" if fps is None else f"{fps:g} sequences a second"
        title = f"{graph}: finn-plus for {part}, {rate} at {clock:g} MHz"
        table = Table(title=title, caption=f"{found.mapped} of {found.nodes} nodes mapped, {found.partitions} partition(s)")
        table.add_column("estimate by")
        for heading in ("cycles", "LUT", "DSP", "BRAM18"):
            table.add_column(heading, justify="right")
        for name, cycles, resources in estimates(found.as_dict()):
            table.add_row(name, f"{cycles:,}", *(f"{resources[key]:,.0f}" for key in ("lut", "dsp", "bram")))
        console.print(table)
        for node in found.unmapped:
            say(f"not mapped: {node['op']} {node['node']}")
        if not found.listed:
            hint = f"; similar ones that it knows: {', '.join(found.near)}" if found.near else ""
            say(f"no board that FINN knows has {part}: it took it for what its first letters say{hint}")
        say(f"the build folder is {out}")
    raise typer.Exit(1 if found.unmapped else 0)


def estimates(found: dict) -> list[tuple[str, int, dict[str, float]]]:
    """Who estimates, cycles and resources: FINN, and this program where it can."""
    finn = {"lut": found["resources"]["LUT"], "dsp": found["resources"]["DSP"], "bram": found["resources"]["BRAM_18K"]}
    rows = [("FINN", found["cycles"], finn)]
    return rows + ([("ssmq", found["ours"]["cycles"], found["ours"]["resources"])] if found["ours"] else [])
