"""Graphs drawn from a seed: one to four operators on a stream, with axes, ranks, constants, signs, layouts and types varied.

About half of them are what FINN maps.
"""

from __future__ import annotations

import drawn_operators  # noqa: F401  (its drawers register before those of images: a seed draws by their order)
import numpy as np
from drawing import DRAWERS, Stream, chance, one_of, threshold
from drawn_images import image
from foreign_graphs import Graph


def draw(seed: int):
    """The model of a seed."""
    rng = np.random.default_rng(seed)
    g = Graph(one_of(rng, 13, 15, 17, 18))
    rank = one_of(rng, 2, 2, 2, 3, 4, 4)
    shape = {2: (1, 6), 3: (1, 4, 6), 4: (1, 4, 4, 6)}[rank]
    if chance(rng, 0.04):
        shape = one_of(rng, (6,), (2, 6), (1, 1, 1, 1, 6), ())
    datatype = one_of(rng, "INT4", "INT8", "UINT4", "UINT2", "INT3", "BIPOLAR") if not chance(rng, 0.03) else "FLOAT32"
    g.input("u", shape, datatype)
    streams = [Stream("u", shape, datatype)]
    if datatype == "FLOAT32" or chance(rng, 0.3):
        streams.append(threshold(g, rng, streams[-1]))
    for _ in range(one_of(rng, 1, 1, 2, 2, 3)):
        for _ in range(20):
            at = streams[-1] if chance(rng, 0.9) else one_of(rng, *streams)
            try:
                drawer = image if len(at.shape) == 4 and chance(rng, 0.4) else one_of(rng, *DRAWERS)
                found = drawer(g, rng, at)
            except (ValueError, IndexError, TypeError, ZeroDivisionError):
                found = None  # the operator means nothing here
            if found is not None and found.limits is not None:
                streams.append(found)
                break
    outputs = [streams[-1].name]
    if chance(rng, 0.05) and len(streams) > 2 and streams[-2].name not in outputs:
        outputs.append(streams[-2].name)
    if outputs == ["u"]:
        outputs = [threshold(g, rng, streams[-1]).name]
    kinds = {"inner": chance(rng, 0.8), "constant_nodes": chance(rng, 0.15), "static_inputs": chance(rng, 0.1)}
    return g.model([name for name in outputs if name != "u"], **kinds)
