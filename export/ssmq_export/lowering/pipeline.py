"""The passes in order, and the graph after each of them."""

from __future__ import annotations

from collections.abc import Iterator

import onnx

from ..dataflow.keys import FORM_KEY
from ..door import admit_part
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


def lower(step: onnx.ModelProto) -> onnx.ModelProto:
    """Lower a step graph. Raises ExportError naming the first node that has no integer form."""
    *_, (_, dataflow) = pass_by_pass(step)
    return dataflow


def pass_by_pass(step: onnx.ModelProto) -> Iterator[tuple[str, onnx.ModelProto]]:
    """The name of every pass and the graph after it, a whole model that qonnx can execute."""
    if not any(p.key == FORM_KEY and p.value == "step" for p in step.metadata_props):
        raise ExportError("only a step graph written by this program can be lowered, and this is not one")
    graph = Graph(admit_part(step, "step"))
    for run in PASSES:
        graph, _ = run(graph)
        yield run.__name__, graph.model()
