"""Is generated RTL what its graph computes? Every code, every cycle; where not, the instance that differs first."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import onnx

from ..dataflow.graph import DataflowGraph
from ..door.graph_file import load_graph
from .evaluate import evaluated, traced
from .manifest import load_manifest
from .model import RtlModel
from .project import GRAPH


@dataclass(frozen=True)
class Comparison:
    """How much was compared and what differed first. ``expected_cycles`` is None where pauses were asked for."""

    sequences: int
    codes: int
    differing: int
    first: str
    cycles: int
    expected_cycles: int | None
    compile_seconds: float
    run_seconds: float

    @property
    def agrees(self) -> bool:
        return not self.differing and self.expected_cycles in (None, self.cycles)

    def as_dict(self) -> dict:
        return {**asdict(self), "agrees": self.agrees}


def graph_of(folder: Path) -> onnx.ModelProto:
    """The graph that a folder of RTL was made from."""
    load_manifest(folder)
    return load_graph(folder / GRAPH, "sequence-dataflow")


def compare_rtl(
    folder: Path, graph: onnx.ModelProto, codes: np.ndarray, stalls: float, vcd: Path | None, tell: Callable[[str], None]
) -> Comparison:
    """Run ``folder`` on ``codes``, with a share of ``stalls`` at both ends."""
    began = time.perf_counter()
    tell("compile")
    model = RtlModel(folder, vcd)
    compiled = time.perf_counter()
    tell(f"{len(codes)} sequences")
    found = model.forward(codes, gap=stalls, stall=stalls)
    ran = time.perf_counter()
    assert model.cycles is not None
    known = DataflowGraph(graph)
    unequal = found != evaluated(known, codes)
    if unequal.any():
        tell("what differs first")
    first = _place(unequal, codes, known, model) if unequal.any() else ""
    return Comparison(
        len(codes), unequal.size, int(np.count_nonzero(unequal)), first, model.cycles,
        None if stalls else model.expected_cycles, compiled - began, ran - compiled,
    )  # fmt: skip


def _place(unequal: np.ndarray, codes: np.ndarray, graph: DataflowGraph, model: RtlModel) -> str:
    """The first tensor, in the order of computation, that differs in the first sequence whose output does; its earliest
    step, and there its first channel."""
    sequence = int(np.argmax(unequal.reshape(len(unequal), -1).any(axis=1)))
    some = codes[sequence : sequence + 1]
    expected, output = traced(graph, some), model.manifest.result.tensor
    tapped = model.tensors(some)
    for tensor in (name for name in expected if name in tapped):
        if (other := expected[tensor] != tapped[tensor]).any():
            _, step, channel = (int(index) for index in np.argwhere(other)[0])
            return f"{tensor}, sequence {sequence}, step {step}, channel {channel}"
    return f"{output}, sequence {sequence}, channel {int(np.argwhere(unequal[sequence])[0][-1])}"
