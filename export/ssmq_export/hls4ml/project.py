"""An HLS project of a step graph: converted by hls4ml, compiled by g++, run sample by sample."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import re
import shutil
import warnings
from pathlib import Path

import numpy as np
import onnx

from ..errors import ExportError
from ..sequences import with_channels
from ..states import successor
from .graph import HlsGraph, hls_graph

BACKEND = "Vitis"
NAME = "ssmq_step"
INSTALL = "pip install hls4ml==1.3.0"


class HlsProject:
    """A compiled project. ``graph`` says in which order its ports are; ``model`` is hls4ml's."""

    def __init__(self, graph: HlsGraph, model):
        self.graph, self.model = graph, model
        self.channels = {port.name: port.type.tensor_type.shape.dim[1].dim_value for port in graph.model.graph.input}

    def step(self, feed: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """One time step: float64 ``(B, channels)`` by input port -> the same by output port."""
        batch = len(feed["u"])
        inputs = [np.ascontiguousarray(feed[name], np.float64) for name in self.channels]
        outputs = self.model.predict(inputs)
        return {name: np.reshape(value, (batch, -1)) for name, value in zip(self.graph.outputs, outputs, strict=True)}

    def run(self, values: np.ndarray, tensors: list[str]) -> dict[str, np.ndarray]:
        """As ``engines.run_steps``: ``values`` ``(B, T, ...)`` -> output ports ``(B, T, channels)``, last ``logits``."""
        values = with_channels(values)
        batch, length = values.shape[:2]
        states = [name for name in self.channels if name != "u"]
        state = {name: np.zeros((batch, self.channels[name])) for name in states}
        traces: dict[str, list[np.ndarray]] = {name: [] for name in tensors}
        for t in range(length):
            results = self.step({"u": values[:, t], **state})
            for name in tensors:
                traces[name].append(results[name])
            state = {name: results[successor(name)] for name in states}
        stacked = {name: np.stack(steps, axis=1) for name, steps in traces.items()}
        return {"logits": results["logits"], **stacked}


def build(step: onnx.ModelProto, folder: Path, part: str | None = None) -> HlsProject:
    """Convert ``step`` into the HLS project ``folder`` and compile it for this machine.

    Raises ExportError when hls4ml or g++ is missing, when the graph has no exact fixed-point form, and when hls4ml or
    g++ fails, with the last meaningful line of what it said.
    """
    require_tools()
    graph = hls_graph(step)
    heard = io.StringIO()
    try:
        # hls4ml prints its progress; a library does not.
        with contextlib.redirect_stdout(heard), contextlib.redirect_stderr(heard), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = _convert(graph, folder, part)
            model.compile()
    except Exception as error:  # hls4ml raises bare Exception, and whatever its passes stumble over
        raise ExportError(f"hls4ml failed: {_last_line(heard.getvalue(), error)}") from error
    return HlsProject(graph, model)


def available() -> bool:
    """Whether hls4ml and g++ are installed."""
    return importlib.util.find_spec("hls4ml") is not None and shutil.which("g++") is not None


def require_tools() -> None:
    """Raise ExportError naming what is missing and how to install it."""
    if importlib.util.find_spec("hls4ml") is None:
        raise ExportError(f"hls4ml is not installed: {INSTALL}")
    if shutil.which("g++") is None:
        raise ExportError("g++, which compiles the HLS project, is not on the PATH: install it (apt-get install g++)")


def _convert(graph: HlsGraph, folder: Path, part: str | None):
    from hls4ml.converters import convert_from_onnx_model

    from .layer import register

    register(BACKEND)
    # Every type is given below; the default is narrow so that a layer without one cannot pass unnoticed.
    config = {"Model": {"Precision": {"default": "fixed<2,2>"}, "ReuseFactor": 1, "Strategy": "Latency"}}
    config["LayerName"] = {name: {"Precision": dict(types)} for name, types in graph.types.items()}
    options = {"part": part} if part else {}
    return convert_from_onnx_model(
        graph.model,
        output_dir=str(folder),
        project_name=NAME,
        backend=BACKEND,
        hls_config=config,
        io_type="io_parallel",
        **options,
    )


def _last_line(heard: str, error: Exception) -> str:
    """g++'s first error if there is one, else the exception's own text."""
    compiler = re.search(r"^.*\b(?:fatal )?error: .*$", heard, re.MULTILINE)
    if compiler:
        return compiler.group(0).strip()
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
