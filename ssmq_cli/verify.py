"""``ssmq verify``: the agreement table of everything that runs a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from . import options
from .output import console, errors, print_json, say

if TYPE_CHECKING:
    import numpy as np
    from onnx import ModelProto
    from ssmq_brevitas.model import Model
    from ssmq_export.verification.agreement import Engine
    from torch import fx

NAME = "verify"
EXAMPLE = "ssmq verify graphs --images 100 --slow-images 1"
FORMS = ("step", "dataflow", "sequence-dataflow")


@options.takes_data
def command(
    folder: Annotated[Path, typer.Argument(help="Folder of `ssmq run` or `ssmq export`, or of a network's own export.")],
    images: Annotated[int, typer.Option(help="Test sequences for the fast engines.", **options.COUNT)] = 1000,
    slow_images: Annotated[
        int, typer.Option(help="Test sequences for the engines that go node by node.", **options.COUNT)
    ] = 20,
    as_json: options.AsJson = False,
    *,
    load: Callable,
) -> None:
    """Run every engine on whole test sequences and compare each code of each tensor with eager Brevitas.

    FINN's hardware operators, hls4ml's C++ and the RTL take part where finn-plus, hls4ml, Verilator and g++ are installed;
    they show their states and logits only, the RTL its logits. An engine that fails is a row that says why. Exit code 1 if
    one code differs or an engine fails.
    The graphs of a network of one's own, which do not name their data, are compared with each other, on random codes.
    """
    from ssmq_export.dataflow.keys import CONFIG_KEY, property_of
    from ssmq_export.door.graph_file import load_graph
    from ssmq_export.verification.graphs import foreign_engines

    _refuse_no_folder(folder)
    graphs = [load_graph(folder / f"{form}.onnx", form) for form in FORMS]
    foreign = foreign_engines(*graphs)
    if property_of(graphs[0], CONFIG_KEY) is None:
        rows = _among_themselves(graphs, images, slow_images, foreign)
    else:
        model = _model(folder)
        codes = load(model.config).x_test[:images].numpy()
        rows = agreements(model.graph, graphs, codes, slow_images, foreign)
    if as_json:
        print_json({"engines": rows})
    else:
        console.print(agreement_table(rows))
        if property_of(graphs[0], CONFIG_KEY) is None:
            say("random codes: the graphs do not say which data they are for")
    raise typer.Exit(0 if agree(rows) else 1)


def agreements(
    network: fx.GraphModule, graphs: Sequence[ModelProto], codes: np.ndarray, slow_images: int, foreign: Sequence[Engine] = ()
) -> list[dict]:
    """Rows of the agreement table: the network's two engines, those of its graphs and ``foreign`` ones."""
    from ssmq_export.from_network import network_engines
    from ssmq_export.verification.graphs import graph_engines

    eager, fused = network_engines(network)
    return _compared(eager, [fused, *graph_engines(*graphs), *foreign], codes, slow_images)


def _among_themselves(graphs: Sequence, images: int, slow_images: int, foreign: Sequence) -> list[dict]:
    """As ``agreements``, without a model: ONNX Runtime's codes of the step graph are those of reference."""
    from ssmq_export.dataflow.keys import length_of
    from ssmq_export.dataflow.ports import ports_of
    from ssmq_export.dataflow.sequences import noise
    from ssmq_export.verification.graphs import graphs_alone

    reference, others = graphs_alone(*graphs)
    return _compared(
        reference, [*others, *foreign], noise(ports_of(graphs[0]).input, images, length_of(graphs[0])), slow_images
    )


def _compared(reference: Engine, others: Sequence[Engine], codes: np.ndarray, slow_images: int) -> list[dict]:
    """The rows, and on the terminal a line for each engine when it begins."""
    from ssmq_export.verification.agreement import compare_engines

    shown: list[str] = []
    with errors.status("verify") as status:

        def told(engine: str, start: int) -> None:
            if engine not in shown:
                shown.append(engine)
                errors.print(f"verify: {engine}")
            status.update(f"verify: {engine}, from sequence {start}")

        found = compare_engines(reference, others, codes, slow_images, told)
    return [row.as_dict() for row in found]


def agree(rows: list[dict]) -> bool:
    """Whether every engine ran and no code differs."""
    return not any(row["differing"] or row["failed"] for row in rows)


def agreement_table(rows: list[dict]) -> Table:
    """Rows as ``ssmq_export.verification.agreement.Agreement.as_dict`` gives them, the reference first."""
    table = Table(title="do the engines agree?")
    for heading in ("engine", "sequences", "codes compared", "differing", "first", "seconds"):
        table.add_column(heading, justify="left" if heading in ("engine", "first") else "right", overflow="fold")
    for number, row in enumerate(rows):
        differing = str(row["differing"]) if number else "reference"
        numbers = (str(row["sequences"]), f"{row['codes']:,}", "-" if row["failed"] else differing)
        first = f"failed: {row['failed']}" if row["failed"] else row["first"] or "-"
        table.add_row(row["engine"], *numbers, first, f"{row['seconds']:.1f}")
    return table


def _refuse_no_folder(folder: Path) -> None:
    from ssmq_brevitas.errors import SsmqError

    if not folder.is_dir():
        raise SsmqError(f"{folder}: no such folder: give one that ssmq run or ssmq export has written")


def _model(folder: Path) -> Model:
    """The one quantised checkpoint in ``folder``."""
    from ssmq_brevitas.checkpoint import load_checkpoint
    from ssmq_brevitas.errors import SsmqError

    # A kill leaves the state of a training beside its checkpoints.
    paths = [path for path in sorted(folder.glob("*.safetensors")) if not path.stem.endswith("-state")]
    quantized = [model for model in (load_checkpoint(path)[0] for path in paths) if model.quantized]
    if len(quantized) != 1:
        raise SsmqError(
            f"{folder}: {len(quantized)} quantised checkpoints, one is needed: give a folder that ssmq run or ssmq "
            f"export has written"
        )
    return quantized[0]
