"""``ssmq hls4ml``: the step graph as an HLS project, compiled and compared."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from . import options
from .output import console, print_json, say

if TYPE_CHECKING:
    import numpy as np
    from onnx import ModelProto

NAME = "hls4ml"
EXAMPLE = "ssmq hls4ml graphs/step.onnx --images 2 --out hls"


@options.takes_data
def command(
    graph: Annotated[Path, typer.Argument(help="A step graph (step.onnx of ssmq export).")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the HLS project; an earlier one is replaced.")],
    images: Annotated[int, typer.Option(help="Test images to run.", **options.COUNT)] = 20,
    steps: Annotated[int | None, typer.Option(help="Time steps of each image; all by default.", **options.COUNT)] = None,
    part: Annotated[str, typer.Option(help="Part that the project is for.", **options.XILINX)] = "xc7z020clg400-1",
    as_json: options.AsJson = False,
    *,
    load: Callable,
) -> None:
    """Convert with hls4ml, compile with g++, and compare every code of its output ports with qonnx.

    The codes are those of test data, or random where a graph of a network of one's own does not say its data. The project
    is left in OUT if no code differs; Vitis HLS synthesises it. Exit code 1 on any difference.
    """
    from ssmq_brevitas.config import parse_config
    from ssmq_export.dataflow.keys import CONFIG_KEY, property_of
    from ssmq_export.door.graph_file import load_graph
    from ssmq_export.hls4ml import require_tools
    from ssmq_export.verification.hls_project import compare_project

    step = load_graph(graph, "step")
    require_tools()
    config = property_of(step, CONFIG_KEY)
    if config is None:
        codes = _random_codes(step, images, steps)
    else:
        codes = load(parse_config(settings_of(config, graph), origin=str(graph))).x_test[:images, :steps].numpy()
    with console.status("hls4ml: convert, compile, compare"):
        found = compare_project(step, codes, out, part)
    agreement = found.agreement
    if as_json:
        print_json({**agreement.as_dict(), "steps": found.steps, "seconds": found.seconds})
    else:
        console.print(_table(graph, found))
        if config is None:
            say("random codes: the graph does not say which data it is for")
        told = f"the HLS project is in {out}" if not agreement.differing else f"first difference: {agreement.first}"
        say(told)
    raise typer.Exit(1 if agreement.differing else 0)


def _random_codes(step: ModelProto, count: int, steps: int | None) -> np.ndarray:
    from ssmq_export.dataflow.keys import length_of
    from ssmq_export.dataflow.ports import ports_of
    from ssmq_export.dataflow.sequences import noise

    length = length_of(step)
    return noise(ports_of(step).input, count, min(steps or length, length))


def settings_of(config: str, graph: Path) -> dict:
    """The configuration that a graph's metadata hold."""
    from ssmq_export.errors import ExportError

    try:
        values = json.loads(config)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise ExportError(f"{graph}: its metadata ssmq.config is no configuration; export it with `ssmq export`")
    return values


def _table(graph: Path, found) -> Table:
    table = Table(title=f"{graph}: hls4ml's C++ against qonnx")
    for heading in ("sequences", "steps", "codes compared", "differing", "build", "hls4ml", "qonnx"):
        table.add_column(heading, justify="right")
    agreement = found.agreement
    counts = (agreement.sequences, found.steps, agreement.codes, agreement.differing)
    times = (f"{found.seconds[name]:.1f} s" for name in ("build", "hls4ml", "qonnx"))
    table.add_row(*(f"{count:,}" for count in counts), *times)
    return table
