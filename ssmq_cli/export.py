"""``ssmq export``: the graphs of a quantised checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from . import options
from .output import console

NAME = "export"
EXAMPLE = "ssmq export zoo:edge-4x10n4-w4a6 --out graphs"


@options.takes_data
def command(
    checkpoint: Annotated[Path, options.checkpoint_argument("Quantised checkpoint (ssmq ptq or ssmq train --from)")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the graphs.")],
    images: Annotated[int, typer.Option(help="Test images to compare the graphs with the model on.", **options.COUNT)] = 8,
    *,
    load: Callable,
) -> None:
    """Write step.onnx, sequence.onnx, dataflow.onnx and sequence-dataflow.onnx, each executed and compared with the model.

    A checkpoint from elsewhere goes beside them as model.safetensors, for `ssmq verify`. A graph that differs from the
    model in one code is not written.
    """
    from ssmq_brevitas.checkpoint import save_checkpoint
    from ssmq_export.dataflow.keys import CONFIG_KEY
    from ssmq_export.exporting import export_graphs
    from ssmq_export.from_network import step_graph, trace

    model, note = options.quantized_model(checkpoint)
    step = step_graph(model.graph, {CONFIG_KEY: model.config.model_dump_json()})
    data = load(model.config)
    codes = data.x_test[:images].numpy()
    exported = export_graphs(step, trace(model.graph, codes, "fused"), codes, out)
    if checkpoint.resolve().parent != out.resolve():
        # What was exported, whatever the file has become meanwhile.
        save_checkpoint(out / "model.safetensors", model, note)
    table = Table(title=f"{options.own_name(checkpoint)}: compared on {len(codes)} images of {data.name} ({data.source})")
    for heading in ("graph", "nodes", "codes compared", "differing"):
        table.add_column(heading, justify="left" if heading == "graph" else "right")
    for (form, path), agreement in zip(exported.paths.items(), exported.agreements, strict=True):
        table.add_row(str(path), f"{exported.nodes[form]}", f"{agreement.codes:,}", f"{agreement.differing}")
    console.print(table)
