"""Estimates of a dataflow graph on a part, without any vendor tool: cycles, LUT, FF, DSP, block RAM of every node.

    estimate = estimate_graph(load_graph("dataflow.onnx", "dataflow"), find_part("xc7z020clg400-1"), fps=1000)
    estimate.as_dict()

``work`` says what each node does, ``cost`` what that takes at a parallelism (from ``primitives``), ``timing`` how fast
the whole recurrence steps, ``folding`` chooses the parallelism. Elementwise operators, states and the buffers of forks
are counted: they are nearly all of a state-space model.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import onnx

from ..dataflow.keys import DATAFLOW, FORM_KEY, length_of, property_of
from ..door import admit, refuse_narrow
from ..errors import ExportError
from . import folding as folds
from .cost import Folding, cycles, latency, resources
from .parts import PARTS, RESOURCES, Part, find_part
from .primitives import Cost
from .timing import Timing, timing
from .work import Work, work_of

# Rates and clocks that are asked for; MHz as well as sequences a second.
LEAST, MOST = 1e-3, 1e9

__all__ = ["PARTS", "RESOURCES", "Estimate", "estimate_graph", "find_part"]


@dataclass(frozen=True)
class Estimate:
    """All nodes at their foldings on ``part``; ``length`` steps a sequence."""

    part: Part
    clock_mhz: float
    length: int
    works: list[Work]
    foldings: list[Folding]
    timing: Timing

    @property
    def costs(self) -> list[Cost]:
        """Resources of each node."""
        return [resources(w, f, self.part.family) for w, f in zip(self.works, self.foldings, strict=True)]

    @property
    def sequences_per_second(self) -> float:
        return self.clock_mhz * 1e6 / self.timing.per_sequence(self.length)

    def as_dict(self) -> dict:
        """``nodes``, ``total``, ``cycles_per_step``, ``cycles_per_sequence`` and what explains them."""
        nodes = [
            {
                "name": work.name,
                "op": work.op,
                "cycles": cycles(work, fold),
                **asdict(cost),
                "kind": work.kind,
                "lanes": fold.parallel,
                "latency": latency(work, fold),
                "stored_bits": work.stored_bits,
            }
            for work, fold, cost in zip(self.works, self.foldings, self.costs, strict=True)
        ]
        total = {name: sum(node[name] for node in nodes) for name in RESOURCES}
        state = sum(work.stored_as("state") for work in self.works)
        buffers = sum(work.stored_as("fork") for work in self.works)
        return {
            "nodes": nodes,
            "total": total,
            "cycles_per_step": self.timing.per_step,
            "cycles_per_sequence": self.timing.per_sequence(self.length),
            "slowest": self.timing.slowest,
            "interval": self.timing.interval,
            "loop_latency": self.timing.loop,
            "fill": self.timing.fill,
            "target": self.part.name,
            "available": {name: getattr(self.part, name) for name in RESOURCES},
            "clock_mhz": self.clock_mhz,
            "sequences_per_second": self.sequences_per_second,
            "bytes": {
                "state": state / 8,
                "buffers": buffers / 8,
                "constants": sum(work.stored_bits for work in self.works) / 8 - state / 8 - buffers / 8,
            },
            "multiplications_per_step": sum(work.multiplications for work in self.works),
        }


def estimate_graph(
    model: onnx.ModelProto, part: Part, *, fps: float | None = None, clock_mhz: float = 100.0, fastest: bool = False
) -> Estimate:
    """Estimate a dataflow graph.

    Every node does one operation a cycle, unless ``fps`` asks for that many sequences a second or ``fastest`` for as
    many as the part allows. Raises ExportError for a graph that is not integer all through, and when what is asked for
    is impossible, naming the node or the resource.
    """
    if property_of(model, FORM_KEY) == "step":
        raise ExportError("a step graph has no integer datatype; estimate the dataflow.onnx that `ssmq export` writes")
    for name, wanted in (("fps", fps), ("clock_mhz", clock_mhz)):
        if wanted is not None and not LEAST <= wanted <= MOST:
            raise ExportError(f"{name} must be a number from {LEAST:g} to {MOST:g}, not {wanted:g}")
    model = admit(model, *DATAFLOW)
    refuse_narrow(model)
    works, length = work_of(model), length_of(model)
    if fps is not None:
        chosen = folds.fold_for_rate(works, part, length, clock_mhz, fps)
    else:
        chosen = folds.fold_for_part(works, part) if fastest else folds.sequential(works)
    return Estimate(part, clock_mhz, length, works, chosen, timing(works, chosen))
