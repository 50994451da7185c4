"""What drawn graphs are made with: streams, choices, constants, thresholds, and the register of drawers.

A drawer appends its operator to the graph and answers the new stream, or None where the operator has no meaning on this
one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from foreign_graphs import QONNX
from ssmq_export.dataflow.datatype import integer_range


@dataclass
class Stream:
    name: str
    shape: tuple[int, ...]
    datatype: str

    @property
    def limits(self):
        return integer_range(self.datatype)


DRAWERS = []


def draws(weight: int = 1):
    def register(drawer):
        DRAWERS.extend([drawer] * weight)
        return drawer

    return register


def holding(*values) -> str:
    low, high = int(min(values)), int(max(values))
    if low >= 0:
        return f"UINT{max(1, high.bit_length())}"
    return f"INT{max((-low - 1).bit_length(), high.bit_length()) + 1}"


def one_of(rng, *choices):
    return choices[rng.integers(len(choices))]


def chance(rng, share: float) -> bool:
    return rng.random() < share


def weights(g, rng, shape, element=np.float32):
    values = rng.integers(-7, 8, shape)
    if chance(rng, 0.04):
        return g.constant(values + 0.5, one_of(rng, None, "INT4")), values
    return g.constant(values, None if chance(rng, 0.04) else "INT4", element), values


def result(g, op, inputs, shape, datatype, **more) -> Stream:
    return Stream(g.node(op, inputs, tuple(int(n) for n in shape), datatype, **more), tuple(int(n) for n in shape), datatype)


def threshold(g, rng, x: Stream) -> Stream:
    channels = x.shape[-1] if x.shape else 1
    rows = one_of(rng, 1, channels) if not chance(rng, 0.04) else 3
    count, datatype, bias = one_of(rng, (3, "UINT2", 0), (7, "INT3", -4), (1, "UINT1", 0), (15, "UINT4", 0))
    if chance(rng, 0.1):
        count, datatype, bias = one_of(
            rng, (3, "INT3", 0), (3, "INT3", 1), (3, "UINT2", 0.5), (1, "BIPOLAR", -1), (0, "UINT1", 0), (2, "UINT2", 1)
        )
    low = 0 if x.limits is not None and x.limits[0] == 0 and not chance(rng, 0.1) else -7
    values = np.sort(rng.integers(low, 8, (rows, count)), axis=1)
    if chance(rng, 0.04):
        values = values[:, ::-1]
    layout = {2: "NC", 3: "NWC", 4: "NHWC"}.get(len(x.shape), "NC")
    if chance(rng, 0.1):
        layout = one_of(rng, "NC", "NHWC", "NCHW", "", "NCW")
    scale = one_of(rng, 1.0, 2.0, 0.5) if chance(rng, 0.06) or datatype == "BIPOLAR" else 1.0
    levels = one_of(rng, "INT4", "INT8", "INT4", "FLOAT32") if chance(rng, 0.1) else "INT4"
    domain = QONNX if not chance(rng, 0.03) else one_of(rng, "", "qonnx.custom_op.channels_last", "onnx.brevitas")
    g.domains.update({domain} - {""})
    values = values + (0.5 if levels == "FLOAT32" else 0)
    name = g.threshold(
        x.name, values, x.shape, datatype, domain=domain, scale=scale, bias=float(bias), layout=layout, levels=levels
    )
    return Stream(name, x.shape, datatype)


DRAWERS.extend([threshold] * 6)
