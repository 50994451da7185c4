"""FINN's hardware operators in Python, as an engine."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import onnx

from ..dataflow.keys import DATAFLOW, formats_of
from ..dataflow.ports import ports_of, values_of
from ..dataflow.sequences import input_codes
from ..door import admit
from .process import work


def run_hardware_ops(dataflow: onnx.ModelProto, codes: np.ndarray) -> dict[str, np.ndarray]:
    """Trace codes ``(B, T)`` or ``(B, T, C)`` through the graph as FINN converts it, states looped back by hand.

    Returns the values of every state after each step ``(B, T, channels)`` and of the output, ``(B, channels)`` or as those.
    """
    dataflow = admit(dataflow, *DATAFLOW)
    exponents = {name: np.asarray(fmt["exponent"]) for name, fmt in formats_of(dataflow).items()}
    ports = ports_of(dataflow)
    codes = input_codes(codes, ports.input)
    with tempfile.TemporaryDirectory() as scratch:
        graph, inputs, outputs = (Path(scratch) / name for name in ("dataflow.onnx", "inputs.npz", "outputs.npz"))
        onnx.save(dataflow, graph)
        np.savez(inputs, codes=codes, given=ports.input.name, successors=json.dumps(ports.successors))
        work(["execute", str(graph), str(inputs), str(outputs)], Path(scratch))
        with np.load(outputs) as found:
            traces = {name: values_of(found[name], exponents[name]) for name in found.files}
    output = traces.pop(ports.output.name)
    output = output if ports.output.each_step else output[:, -1]
    sums = {port.successor for port in ports.sums}
    return {ports.output.name: output, **{name: value for name, value in traces.items() if name not in sums}}
