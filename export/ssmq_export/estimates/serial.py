"""Estimates of the serial shape: one layer of modules that takes the place of all layers alike."""

from __future__ import annotations

from dataclasses import asdict

import onnx

from ..door import admit
from ..errors import ExportError
from ..rtl.project import designed
from ..rtl.schedule import total_cycles
from ..rtl.serial import serially_folded
from .calibration import is_calibrated, taken
from .choice import shortage
from .parts import Part


def estimate_serial(model: onnx.ModelProto, part: Part, *, fps: float | None = None, clock_mhz: float = 100.0) -> dict:
    """``total`` resources and ``cycles_between_sequences`` of a sequence dataflow graph in this shape.

    Folded for ``fps`` sequences a second, or as the graph says. Raises ExportError where no layer is there twice, for a part
    of a family that nothing was measured of, and for one that is too small.
    """
    if not is_calibrated(part.family):
        raise ExportError(f"{part.name}: the serial shape has no estimate on {part.family.name}: measure it with `ssmq synth`")
    model = admit(model, "sequence-dataflow")
    if fps is not None:
        model = serially_folded(model, fps, clock_mhz)
    graph, design = designed(model, shape="serial", multipliers=part.dsp)
    cost = taken(design.cells, part)
    if lacking := shortage(cost, part):
        raise ExportError(
            f"{part.name} has {getattr(part, lacking):,} {lacking.upper()} and {getattr(cost, lacking):,} are needed; "
            f"take a larger part or a lower rate, or narrow the widths"
        )
    return {"total": asdict(cost), "cycles_between_sequences": total_cycles(design, 1, graph.steps)[1]}
