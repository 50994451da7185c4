"""``ssmq estimate``: cycles and resources of a dataflow graph on a part."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from . import options
from .output import console, print_json, say

NAME = "estimate"
EXAMPLE = "ssmq estimate graphs/dataflow.onnx --target xc7z020clg400-1 --fps 1000"


def command(
    graph: Annotated[Path, typer.Argument(help="A dataflow graph (dataflow.onnx of ssmq export).")],
    target: Annotated[str, typer.Option("--target", help="Part: Xilinx 7-series, UltraScale+ or Lattice ECP5.")],
    fps: Annotated[
        float | None, typer.Option(help="Choose the parallelism for so many sequences a second.", **options.RATE)
    ] = None,
    fastest: Annotated[bool, typer.Option("--fastest", help="Choose the most parallelism that fits the part.")] = False,
    clock: Annotated[float, typer.Option(help="Clock in MHz.", **options.MEGAHERTZ)] = 100.0,
    write: Annotated[bool, typer.Option("--write", help="Keep the foldings in GRAPH, for check, finn and hardware.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Cycles, LUT, FF, DSP and block RAM of every node, without a vendor tool.

    Nodes are folded as the graph says (--write), one operation a cycle otherwise, unless --fps or --fastest chooses
    more. Elementwise operators, states and buffers are counted. Exit code 1 if what is asked for is impossible.
    """
    from ssmq_export.dataflow.keys import DATAFLOW
    from ssmq_export.door.graph_file import load_graph, save_graph
    from ssmq_export.errors import ExportError
    from ssmq_export.estimates import estimate_graph, find_part, folded_graph

    part = find_part(target)
    if fps is not None and fastest:
        raise ExportError("--fps and --fastest contradict each other: give one of them")
    model = load_graph(graph, *DATAFLOW)
    estimate = estimate_graph(model, part, fps=fps, clock_mhz=clock, fastest=fastest)
    found = estimate.as_dict()
    if write:
        save_graph(folded_graph(model, estimate), graph)
    if as_json:
        print_json(found)
        return
    console.print(_table(graph, found))
    bytes_ = found["bytes"]
    limit = f"{found['slowest']} takes {found['interval']:,}, a state is back after {found['loop_latency']:,}"
    for line in (
        f"{found['cycles_per_step']:,} cycles a step ({limit}), {found['cycles_per_sequence']:,} a sequence",
        f"{found['sequences_per_second']:,.1f} sequences a second at {clock:g} MHz, "
        f"{found['multiplications_per_step']:,} multiplications a step",
        f"bytes: {bytes_['constants']:,.0f} constants, {bytes_['state']:,.0f} state, {bytes_['buffers']:,.0f} buffers",
    ):
        say(line)


def _table(graph: Path, found: dict) -> Table:
    table = Table(title=f"{graph} on {found['target']}", show_footer=True)
    total, available = found["total"], found["available"]
    table.add_column("node", footer="total\nof the part", overflow="fold")
    table.add_column("as", footer="", overflow="fold")
    for heading in ("lanes", "cycles"):
        table.add_column(heading, justify="right", overflow="fold")
    for name in total:
        share = f"{total[name]:,}\n{100 * total[name] / available[name]:.0f} %"
        table.add_column(name.upper() if name != "bram" else "BRAM18", justify="right", footer=share, overflow="fold")
    for node in found["nodes"]:
        counts = (node[key] for key in ("lanes", "cycles", *total))
        table.add_row(node["name"], node["kind"], *(f"{count:,}" for count in counts))
    return table
