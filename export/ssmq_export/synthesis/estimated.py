"""What a design is estimated to take, before it is synthesised and beside it."""

from __future__ import annotations

from dataclasses import asdict

from onnx import ModelProto

from ..estimates import estimate_graph
from ..estimates.calibration import is_calibrated, taken
from ..estimates.parts import Part
from ..rtl.manifest import Manifest


def estimated(manifest: Manifest, graph: ModelProto, part: Part) -> dict[str, int]:
    """By resource; of a family that nothing was fitted to only where lanes and estimates are of one shape."""
    if is_calibrated(part.family):
        return asdict(taken(manifest.design().cells, part))
    return estimate_graph(graph, part).as_dict()["total"] if manifest.shape == "dataflow" else {}
