"""FINN's hardware operators in Python, as an engine."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import onnx

from ..dataflow.keys import DATAFLOW, FORMATS_KEY, property_of
from ..dataflow.states import successor
from ..door import admit
from .process import work


def run_hardware_ops(dataflow: onnx.ModelProto, codes: np.ndarray) -> dict[str, np.ndarray]:
    """Trace codes uint8 ``(B, T)`` or ``(B, T, C)`` through the graph as FINN converts it, states looped back by hand.

    Returns the values of every state port after each step ``(B, T, channels)`` and ``logits`` ``(B, classes)``.
    """
    dataflow = admit(dataflow, *DATAFLOW)
    formats = json.loads(property_of(dataflow, FORMATS_KEY))
    exponents = {name: np.asarray(fmt["exponent"]) for name, fmt in formats.items()}
    states = [port.name for port in dataflow.graph.input if port.name != "u"]
    with tempfile.TemporaryDirectory() as scratch:
        graph, inputs, outputs = (Path(scratch) / name for name in ("dataflow.onnx", "inputs.npz", "outputs.npz"))
        onnx.save(dataflow, graph)
        np.savez(inputs, codes=codes, successors=json.dumps({name: successor(name) for name in states}))
        work(["execute", str(graph), str(inputs), str(outputs)], Path(scratch))
        with np.load(outputs) as found:
            traces = {name: np.ldexp(found[name].astype(np.float64), exponents[name]) for name in found.files}
    logits = traces.pop("logits")[:, -1]
    return {"logits": logits, **{name: value for name, value in traces.items() if name != "pool_next"}}
