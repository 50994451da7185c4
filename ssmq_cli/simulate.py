"""``ssmq simulate``: generated RTL in Verilator, on test data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from . import options
from .hls4ml import settings_of
from .output import console, print_json, say

if TYPE_CHECKING:
    import numpy as np
    from onnx import ModelProto
    from ssmq_export.rtl.comparison import Comparison
    from torch import Tensor

NAME = "simulate"
EXAMPLE = "ssmq simulate build/rtl --images 20"


@options.takes_data
def command(
    folder: Annotated[Path, typer.Argument(help="Folder of `ssmq rtl`.")],
    images: Annotated[int, typer.Option(help="Test sequences to run.", **options.COUNT)] = 20,
    stalls: Annotated[float, typer.Option(help="Share of cycles in which an end pauses.", **options.number(0, 0.9))] = 0.0,
    vcd: Annotated[Path | None, typer.Option(help="Write a waveform of all signals, for one sequence or a few.")] = None,
    as_json: options.AsJson = False,
    *,
    load: Callable,
) -> None:
    """Compile with Verilator, run whole sequences, compare every code with the graph's and count the cycles.

    The codes are those of test data, or random where a graph of a network of one's own does not say its data. Exit code 1
    if a code differs or the cycles are not those that were foretold.
    """
    from ssmq_export.rtl import require_tools
    from ssmq_export.rtl.comparison import compare_rtl, graph_of

    require_tools()
    graph = graph_of(folder)
    codes, labels = test_codes(folder, graph, images, load)
    with console.status("simulate") as status:
        found = compare_rtl(folder, graph, codes, stalls, vcd, lambda what: status.update(f"simulate: {what}"))
    if as_json:
        print_json(found.as_dict())
    else:
        console.print(_table(folder, found))
        if labels is None:
            say("random codes: the graph does not say which data it is for")
        if found.first:
            say(f"first difference: {found.first}")
        if vcd is not None:
            say(f"the waveform is in {vcd}")
    raise typer.Exit(0 if found.agrees else 1)


def test_codes(folder: Path, graph: ModelProto, images: int, load: Callable) -> tuple[np.ndarray, Tensor | None]:
    """Codes of so many test sequences for ``graph`` and their labels; random ones and None where it does not say its data."""
    from ssmq_brevitas.config import parse_config
    from ssmq_export.dataflow.keys import CONFIG_KEY, length_of, property_of
    from ssmq_export.dataflow.ports import ports_of
    from ssmq_export.dataflow.sequences import noise

    config = property_of(graph, CONFIG_KEY)
    if config is None:
        return noise(ports_of(graph).input, images, length_of(graph)), None
    data = load(parse_config(settings_of(config, folder), origin=str(folder)))
    return data.x_test[:images].numpy(), data.y_test[:images]


def _table(folder: Path, found: Comparison) -> Table:
    table = Table(title=f"{folder}: Verilator against the graph")
    for heading in ("sequences", "codes compared", "differing", "cycles", "foretold", "compile", "run"):
        table.add_column(heading, justify="right", overflow="fold")
    counts = (found.sequences, found.codes, found.differing, found.cycles)
    foretold = f"{found.expected_cycles:,}" if found.expected_cycles is not None else "-"
    times = (f"{seconds:.1f} s" for seconds in (found.compile_seconds, found.run_seconds))
    table.add_row(*(f"{count:,}" for count in counts), foretold, *times)
    return table
