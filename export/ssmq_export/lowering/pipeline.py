"""The passes in order, and the graph after each of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import onnx

from ..dataflow.keys import FORM_KEY
from ..door import admit_part
from ..door.graph_file import graph_of
from ..errors import ExportError
from .align import align
from .clean import clean
from .contract import Pass
from .datatypes import datatypes
from .fold import fold
from .graph import Graph
from .layout import layout
from .shifts import shifts

PASSES: tuple[Pass, ...] = (clean, fold, align, shifts, datatypes, layout)


def lower(graph: onnx.ModelProto | Path | str) -> onnx.ModelProto:
    """The integer dataflow graph that computes the codes of a step graph, which is given or named by its file.

    Every node of it is a hardware operator on integers, channels last; nothing is executed here, `ssmq lower` and ``export``
    do that. Raises ExportError for a graph that is no step graph of this program, naming the first node that has no integer
    form.

    >>> import tempfile, torch
    >>> from ssmq_brevitas import Scheme, quantize
    >>> from ssmq_export import check, export, lower
    >>> network = torch.nn.Sequential(torch.nn.Linear(1, 2), torch.nn.ReLU()).eval()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     exported = export(quantize(network, Scheme(), torch.randn(4, 5, 1)), folder)
    ...     dataflow = lower(exported.paths["step"])
    >>> [node.op_type for node in dataflow.graph.node], check(dataflow).legal
    (['MatMul', 'MultiThreshold'], True)
    """
    *_, (_, dataflow) = pass_by_pass(graph_of(graph, "step"))
    return dataflow


def pass_by_pass(step: onnx.ModelProto) -> Iterator[tuple[str, onnx.ModelProto]]:
    """The name of every pass and the graph after it, a whole model that qonnx can execute."""
    if not any(p.key == FORM_KEY and p.value == "step" for p in step.metadata_props):
        raise ExportError("only a step graph written by this program can be lowered, and this is not one")
    graph = Graph(admit_part(step, "step"))
    for run in PASSES:
        graph, _ = run(graph)
        yield run.__name__, graph.model()
