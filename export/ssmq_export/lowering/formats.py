"""Formats of the tensors between two quantisers of a step graph: how wide its exact sums and products are."""

from __future__ import annotations

import numpy as np
import onnx

from .clean import clean
from .graph import Graph
from .ranges import grids_of


def exact_formats(step: onnx.ModelProto) -> dict[str, dict]:
    """{"bits", "signed", "exponent"} of every tensor that is exact, wide enough for its range, as the metadata hold it."""
    graph = Graph(step)
    clean(graph)
    found = {}
    for name, grid in grids_of(graph).items():
        exponent = grid.exponent if np.any(grid.exponent != grid.exponent[0]) else grid.exponent[0]
        signed = bool(grid.low.min() < 0)
        found[name] = {"bits": int(grid.datatype.split("INT")[1]), "signed": signed, "exponent": exponent.tolist()}
    return found
