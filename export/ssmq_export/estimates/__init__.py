"""Estimates of a dataflow graph on a part, without any vendor tool: cycles, LUT, FF, DSP, block RAM of every node.

    print(estimate("dataflow.onnx", "xc7z020clg400-1", fps=1000))

A sequence graph takes what the modules of its RTL take, as synthesis was measured (``calibration``, ``modules``,
``amounts``, ``placement``; ``serial`` for the other shape). The hardware of a step graph is FINN's: what each node does is said
by its ``Operation``, what that takes at a folding by ``cost`` (from ``primitives``). ``timing`` says how fast the whole steps,
by the RTL library's own table; ``choice`` chooses the foldings. Elementwise operators, states and the buffers of forks are
counted: they are nearly all of a state-space model.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import onnx

from ..dataflow.folding import cycles, fold, foldings_of
from ..dataflow.graph import DataflowGraph
from ..dataflow.keys import DATAFLOW, FORM_KEY, length_of, property_of
from ..door import admit, refuse_narrow
from ..door.graph_file import graph_of
from ..errors import ExportError
from ..tables import text_table
from .choice import Folded, fold_for_part, fold_for_rate, sequential
from .parts import PARTS, RESOURCES, Part, find_part
from .timing import Timing, latency

# Rates and clocks that are asked for; MHz as well as sequences a second.
LEAST, MOST = 1e-3, 1e9

__all__ = ["PARTS", "RESOURCES", "Estimate", "estimate", "estimate_graph", "find_part", "folded_graph"]


@dataclass(frozen=True)
class Estimate:
    """A graph at its foldings on ``part``; ``as_dict`` has all numbers, the text those of every node and the whole."""

    part: Part
    clock_mhz: float
    folded: Folded

    @property
    def timing(self) -> Timing:
        return self.folded.timing

    @cached_property
    def cycles(self) -> tuple[int, int]:
        """Of one sequence, and between two that follow each other."""
        return self.timing.of_sequence(self.folded.graph.steps)

    @property
    def sequences_per_second(self) -> float:
        """Of sequences that follow each other, at ``clock_mhz``."""
        return self.clock_mhz * 1e6 / self.cycles[1]

    def __str__(self) -> str:
        found = self.as_dict()
        rows = [[node[key] for key in ("name", "kind", "lanes", "cycles", *RESOURCES)] for node in found["nodes"]]
        rows += [["total", "", "", "", *found["total"].values()], [self.part.name, "", "", "", *found["available"].values()]]
        table = text_table(("node", "as", "lanes", "cycles", *RESOURCES), rows)
        rate = f"{self.sequences_per_second:,.1f} sequences a second at {self.clock_mhz:g} MHz"
        return f"{table}\n{found['cycles_per_step']:,} cycles a step, {rate}"

    def as_dict(self) -> dict:
        """``nodes``, ``total``, ``cycles_per_step``, ``cycles_per_sequence`` and what explains them."""
        operations = self.folded.operations
        nodes = [
            {
                "name": operation.name,
                "op": operation.op,
                "cycles": span or cycles(operation, fold),
                **asdict(cost),
                "kind": operation.kind,
                "lanes": fold.parallel,
                "latency": latency(operation, fold),
                "stored_bits": operation.stored_bits,
            }
            for operation, fold, cost, span in zip(
                operations, self.folded.foldings, self.folded.costs(self.part.family), self.folded.spans, strict=False
            )
        ]
        total = {name: sum(node[name] for node in nodes) for name in RESOURCES}
        state, buffers = (sum(operation.stored_as(kind) for operation in operations) for kind in ("state", "fork"))
        stored = sum(operation.stored_bits for operation in operations)
        return {
            "nodes": nodes,
            "total": total,
            "cycles_per_step": self.timing.per_step,
            "cycles_per_sequence": self.cycles[0],
            "cycles_between_sequences": self.cycles[1],
            "slowest": self.timing.slowest,
            "interval": self.timing.interval,
            "loop_latency": self.timing.loop,
            "latency": self.timing.alone,
            "target": self.part.name,
            "available": {name: getattr(self.part, name) for name in RESOURCES},
            "clock_mhz": self.clock_mhz,
            "sequences_per_second": self.sequences_per_second,
            "bytes": {"state": state / 8, "buffers": buffers / 8, "constants": (stored - state - buffers) / 8},
            "multiplications_per_step": sum(operation.multiplications for operation in operations),
        }


def estimate(
    graph: onnx.ModelProto | Path | str,
    part: str = "xc7z020clg400-1",
    *,
    fps: float | None = None,
    clock_mhz: float = 100.0,
    fastest: bool = False,
) -> Estimate:
    """Cycles, LUT, FF, DSP and block RAM of a dataflow graph, or of the file that it is in, on a part, without a vendor tool.

    ``part`` is a Xilinx 7-series, UltraScale+ or Lattice ECP5 part, ``fps`` in sequences a second. Nodes are folded as the
    graph says, or do one operation a cycle each, unless ``fps`` asks for a rate or ``fastest`` for the most that fits.

    Raises ExportError for an unknown part, a graph that is not integer all through, and when what is asked for is impossible,
    naming the node or the resource. Resources of a sequence graph were checked against synthesis, those of a step graph are
    first-order.

    >>> import tempfile, torch
    >>> from ssmq_brevitas import Scheme, quantize
    >>> from ssmq_export import estimate, export
    >>> network = torch.nn.Sequential(torch.nn.Linear(1, 2), torch.nn.ReLU()).eval()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     exported = export(quantize(network, Scheme(), torch.randn(4, 5, 1)), folder)
    ...     found = estimate(exported.paths["dataflow"], "xc7z020clg400-1", fps=1000)
    >>> found.sequences_per_second >= 1000
    True
    """
    model = graph_of(graph, *DATAFLOW)
    return estimate_graph(model, find_part(part), fps=fps, clock_mhz=clock_mhz, fastest=fastest)


def estimate_graph(
    model: onnx.ModelProto, part: Part, *, fps: float | None = None, clock_mhz: float = 100.0, fastest: bool = False
) -> Estimate:
    """Estimate a dataflow graph.

    As ``estimate``, of a model and a part that were found already.
    """
    if property_of(model, FORM_KEY) == "step":
        raise ExportError("a step graph has no integer datatype; estimate the dataflow.onnx that `ssmq export` writes")
    for name, wanted in (("fps", fps), ("clock_mhz", clock_mhz)):
        if wanted is not None and not LEAST <= wanted <= MOST:
            raise ExportError(f"{name} must be a number from {LEAST:g} to {MOST:g}, not {wanted:g}")
    model = admit(model, *DATAFLOW)
    refuse_narrow(model)
    length_of(model)
    graph = DataflowGraph(model)
    if fps is not None:
        folded = fold_for_rate(graph, part, clock_mhz, fps)
    elif fastest:
        folded = fold_for_part(graph, part)
    else:
        kept = foldings_of(model, graph.operations)
        folded = sequential(graph) if kept is None else Folded(graph, tuple(kept))
    return Estimate(part, clock_mhz, folded)


def folded_graph(model: onnx.ModelProto, estimate: Estimate) -> onnx.ModelProto:
    """``model``, of which ``estimate`` is, with the foldings of the estimate kept in its nodes."""
    return fold(model, estimate.folded.graph.operations, list(estimate.folded.nodes))
