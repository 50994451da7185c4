"""``ssmq rtl``: a sequence dataflow graph as SystemVerilog."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.table import Table

from . import options
from .output import console, print_json, say

if TYPE_CHECKING:
    from ssmq_export.rtl.manifest import Manifest

Shape = Literal["dataflow", "serial"]
NAME = "rtl"
EXAMPLE = "ssmq rtl graphs/sequence-dataflow.onnx --out build/rtl"


def command(
    graph: Annotated[Path, typer.Argument(help="A sequence dataflow graph (sequence-dataflow.onnx of ssmq export).")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the RTL; an earlier one is replaced.")],
    fps: Annotated[
        float | None, typer.Option(help="Fold for so many sequences a second (with --target).", **options.RATE)
    ] = None,
    target: Annotated[str | None, typer.Option(help="Part that --fps is for, as in ssmq estimate.")] = None,
    clock: Annotated[float, typer.Option(help="Clock in MHz that --fps is for.", **options.MEGAHERTZ)] = 100.0,
    name: Annotated[str, typer.Option(help="Name of the top level.")] = "network",
    shape: Annotated[
        Shape, typer.Option(help="A chain of all layers, or one layer that takes the place of all alike.")
    ] = "dataflow",
    as_json: options.AsJson = False,
) -> None:
    """Write sources, memories, a manifest, a self-test, and packaging for FuseSoC and Vivado.

    The folding is the one that the graph keeps (`ssmq estimate --write`), one lane a node without, unless --fps chooses
    one. `ssmq simulate` runs what was written. In the serial shape the layers that are alike take turns in one, with the
    multipliers that --target has.
    """
    from ssmq_export.door.graph_file import load_graph
    from ssmq_export.errors import ExportError
    from ssmq_export.estimates import estimate_graph, find_part, folded_graph
    from ssmq_export.rtl import serially_folded, write_rtl

    model = load_graph(graph, "sequence-dataflow")
    if (fps is None) != (target is None):
        raise ExportError("--fps and --target belong together: give both, or neither for the folding that the graph keeps")
    multipliers = None
    if fps is not None and target is not None and shape == "serial":
        model, multipliers = serially_folded(model, fps, clock), find_part(target).dsp
    elif fps is not None and target is not None:
        model = folded_graph(model, estimate_graph(model, find_part(target), fps=fps, clock_mhz=clock))
    manifest = write_rtl(model, out, name, shape, multipliers)
    if as_json:
        print_json(manifest.model_dump(mode="json"))
        return
    console.print(_table(out, manifest))
    say(f"{out / 'rtl'}: {len(manifest.files)} files; run them with `ssmq simulate {out}`")


def _table(out: Path, manifest: Manifest) -> Table:
    table = Table(title=f"{out}: {manifest.top}")
    for heading in ("module", "instances", "memories", "bits"):
        table.add_column(heading, justify="left" if heading == "module" else "right")
    for module in sorted({cell.module for cell in manifest.cells}):
        cells = [cell for cell in manifest.cells if cell.module == module]
        memories = [memory for cell in cells for memory in cell.memories.values()]
        bits = sum(memory.words * memory.bits for memory in memories)
        table.add_row(module, str(len(cells)), str(len(memories) or ""), f"{bits:,}" if bits else "")
    sequence = "" if manifest.cycles is None else f"; a sequence {manifest.cycles:,}, each further one {manifest.further:,}"
    table.caption = f"cycles: a step {manifest.interval:,}, its latency {manifest.latency:,}{sequence}"
    return table
