"""hls4ml as an engine: the step graph as fixed-point C++, compiled and run on this machine.

    with tempfile.TemporaryDirectory() as folder:
        traces = build(onnx.load("step.onnx"), Path(folder) / "hls").run(codes, ["blocks.0.ssm.x_re_next", "sum"])

Every type is wide enough for every exact sum and product, computed from the graph's formats; the only rounding is that
of the Quant nodes, half to even. So the C++ gives the codes that qonnx gives, and ``run_hls4ml`` is one more engine to
compare. Importing this needs neither hls4ml nor g++.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import onnx

from .project import HlsProject, available, build, require_tools

__all__ = ["HlsProject", "available", "build", "output_ports", "require_tools", "run_hls4ml"]


def run_hls4ml(step: onnx.ModelProto, codes: np.ndarray, tensors: list[str]) -> dict[str, np.ndarray]:
    """As ``engines.run_steps``, in hls4ml's C++; of ``tensors`` only the output ports, since nothing else leaves it."""
    ports = set(output_ports(step))
    with tempfile.TemporaryDirectory(prefix="ssmq-hls4ml-") as scratch:
        return build(step, Path(scratch) / "project").run(codes, [name for name in tensors if name in ports])


def output_ports(step: onnx.ModelProto) -> list[str]:
    """What the step gives: its output, and what it keeps for the next."""
    return [port.name for port in step.graph.output]
