"""An HLS project of a step graph: converted by hls4ml, compiled by g++, run sample by sample."""

from __future__ import annotations

import importlib.util
import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
import onnx

from ..child import last_words, run_worker
from ..dataflow.ports import Ports, ports_of, values_of
from ..dataflow.sequences import input_codes
from ..door import admit
from ..errors import ExportError
from ..estimates.parts import amd_part
from .graph import HlsGraph, hls_graph
from .identifiers import with_names

INSTALL = "pip install hls4ml==1.3.0"


class HlsProject:
    """A compiled project. ``graph`` says in which order its ports are; ``library`` is what the worker made of it."""

    def __init__(self, graph: HlsGraph, ports: Ports, library: dict):
        self.graph, self.ports, self.library = graph, ports, library

    def run(self, codes: np.ndarray, tensors: list[str]) -> dict[str, np.ndarray]:
        """As ``engines.run_steps``: codes ``(B, T, ...)`` -> values of output ports ``(B, T, channels)`` and of the output."""
        own = {identifier: name for name, identifier in self.graph.identifiers.items()}
        names, outputs = [own[port.name] for port in self.graph.model.graph.input], self.graph.outputs
        given, successors = self.ports.input, self.ports.successors
        following = [outputs.index(successors[name]) if name in successors else 0 for name in names]
        values = values_of(input_codes(codes, given), given.format.exponent)
        with tempfile.TemporaryDirectory(prefix="ssmq-hls4ml-") as scratch:
            job = Path(scratch)
            (job / "library.json").write_text(json.dumps(self.library))
            np.savez(job / "inputs.npz", values=values, given=names.index(given.name), following=following)
            _work("run", job, self.graph.identifiers)
            with np.load(job / "outputs.npz") as found:
                traces = {name: found[str(number)] for number, name in enumerate(outputs)}
        output = self.ports.output
        found = {name: traces[name] for name in tensors}
        return {**found, output.name: traces[output.name] if output.each_step else traces[output.name][:, -1]}


def build(step: onnx.ModelProto, folder: Path, part: str | None = None) -> HlsProject:
    """Convert ``step`` into the HLS project ``folder`` and compile it for this machine.

    Raises ExportError when hls4ml or g++ is missing, when the graph has no exact fixed-point form, and when hls4ml or
    g++ fails, with the last meaningful line of what it said.
    """
    require_tools()
    step = admit(step, "step")
    graph = hls_graph(step)
    settings = {"types": graph.types, "folder": str(Path(folder).absolute()), "part": part and amd_part(part)}
    with tempfile.TemporaryDirectory(prefix="ssmq-hls4ml-") as scratch:
        job = Path(scratch)
        onnx.save(graph.model, job / "graph.onnx")
        (job / "settings.json").write_text(json.dumps(settings))
        _work("build", job, graph.identifiers)
        return HlsProject(graph, ports_of(step), json.loads((job / "library.json").read_text()))


def _work(kind: str, job: Path, identifiers: dict[str, str]) -> None:
    done = run_worker("ssmq_export.hls4ml.worker", [kind, str(job)], job)
    if done.returncode:
        raise ExportError(f"hls4ml failed: {with_names(last_words(done, 'hls4ml: '), identifiers)}")


def available() -> bool:
    """Whether hls4ml and g++ are installed."""
    return importlib.util.find_spec("hls4ml") is not None and shutil.which("g++") is not None


def require_tools() -> None:
    """Raise ExportError naming what is missing and how to install it."""
    if importlib.util.find_spec("hls4ml") is None:
        raise ExportError(f"hls4ml is not installed: {INSTALL}")
    if shutil.which("g++") is None:
        raise ExportError("g++, which compiles the HLS project, is not on the PATH: install it (apt-get install g++)")
