"""The folding front: what each folding of a graph takes of a part, and how many sequences a second it gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx

from ..dataflow.folding import fold
from ..dataflow.graph import DataflowGraph
from ..estimates.choice import foldings_for_part
from ..rtl.project import write_rtl
from .devices import Device
from .measure import measure
from .result import Result
from .shortage import ShortageError


def explore(
    graph: onnx.ModelProto, home: Path, device: Device, speed: int | None, *, seeds: int = 1,
    codes: np.ndarray | None = None, tell: Callable[[str], None] = lambda what: None,
) -> Iterator[Result]:  # fmt: skip
    """Every folding from one lane a node on, each a step faster than the one before, until the part is full.

    By estimate first, and at last by synthesis: the first one that does not fit ends it. ``home`` keeps the RTL and the
    stages of each.
    """
    for number, folded in enumerate(foldings_for_part(DataflowGraph(graph), device.part), start=1):
        rtl = home / f"rtl-{number}"
        write_rtl(fold(graph, folded.graph.operations, list(folded.nodes)), rtl)
        try:
            yield measure(rtl, home / f"folding-{number}", device, speed, seeds=seeds, codes=codes, tell=tell)
        except ShortageError:
            if number == 1:
                raise
            return
