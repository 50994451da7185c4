"""``ssmq lower``: a step graph to a dataflow graph, pass by pass."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from .output import console

NAME = "lower"
EXAMPLE = "ssmq lower graphs/step.onnx --out lowered.onnx --dump-passes passes"


def command(
    graph: Annotated[Path, typer.Argument(help="step.onnx of `ssmq export`.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The dataflow graph to write.")],
    dump_passes: Annotated[Path | None, typer.Option(help="Folder for the graph after every pass, numbered in order.")] = None,
) -> None:
    """Lower a step graph to integers.

    The graph after each pass is executed and compared with the step graph; a pass that changes a code is named, and
    no dataflow graph is written.
    """
    from ssmq_export.door.graph_file import load_graph, save_graph
    from ssmq_export.errors import ExportError
    from ssmq_export.verification.proof import prove

    table = Table(title=str(graph))
    for heading in ("pass", "nodes", "codes compared", "differing"):
        table.add_column(heading, justify="left" if heading == "pass" else "right")
    with console.status("lower") as status:
        for number, proof in enumerate(prove(load_graph(graph, "step")), start=1):
            status.update(f"lower: {proof.name} done")
            if dump_passes is not None:
                save_graph(proof.model, dump_passes / f"{number}-{proof.name}.onnx")
            found = proof.agreement
            table.add_row(proof.name, f"{len(proof.model.graph.node)}", f"{found.codes:,}", f"{found.differing}")
            if found.differing:
                raise ExportError(
                    f"{graph}: the pass {proof.name} changes {found.differing} of {found.codes} codes, first in "
                    f"{found.first}: nothing was lowered; please report the scheme"
                )
    save_graph(proof.model, out)
    console.print(table)
