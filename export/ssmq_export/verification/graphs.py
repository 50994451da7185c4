"""Exported graphs as engines: those that come with this package, and FINN, hls4ml and RTL where their tools are installed."""

from __future__ import annotations

from functools import cache

import numpy as np
import onnx

from .. import finn, hls4ml, rtl
from ..dataflow.keys import formats_of
from ..dataflow.ports import ports_of
from ..graphs.sequence_graph import sequence_graph
from ..integer import IntegerModel
from . import engines
from .agreement import Engine, Trace


def graph_engines(step: onnx.ModelProto, dataflow: onnx.ModelProto, sequence_dataflow: onnx.ModelProto) -> list[Engine]:
    """The engines that run exported graphs."""

    @cache
    def integers() -> IntegerModel:
        return IntegerModel(dataflow)

    return [
        Engine("qonnx step", lambda codes, names: engines.run_steps(step, codes, names), slow=True),
        Engine(
            "ONNX Runtime Scan",
            lambda codes, names: engines.run_sequence(sequence_graph(step, tuple(names)), codes),
        ),
        Engine("dataflow graph", lambda codes, names: engines.run_steps(dataflow, codes, names), slow=True),
        Engine(
            "dataflow graph (DiagonalScan)",
            lambda codes, names: engines.run_whole(sequence_dataflow, codes, names),
        ),
        Engine("integer model", lambda codes, names: integers().trace(codes, names)),
    ]


def graphs_alone(
    step: onnx.ModelProto, dataflow: onnx.ModelProto, sequence_dataflow: onnx.ModelProto
) -> tuple[Engine, list[Engine]]:
    """The engines of ``graph_engines`` where no model is there to compare with: one as the reference of the others.

    It is the step graph in ONNX Runtime, with every tensor that the step and the dataflow graph both have codes of.
    """
    both = coded(step) & coded(dataflow)
    names = tuple(node.output[0] for node in step.graph.node if node.output[0] in both)

    def run(codes: np.ndarray, tensors: list[str]) -> Trace:
        return engines.run_sequence(sequence_graph(step, names), codes)

    reference = Engine("ONNX Runtime Scan", run)
    others = graph_engines(step, dataflow, sequence_dataflow)
    return reference, [engine for engine in others if engine.name != reference.name]


def foreign_engines(step: onnx.ModelProto, dataflow: onnx.ModelProto, whole: onnx.ModelProto) -> list[Engine]:
    """FINN's and hls4ml's engines and the simulated RTL, as far as their tools are installed; of tensors they show the ports
    alone."""
    found = []
    if finn.available():
        found.append(Engine("FINN hardware ops", lambda codes, names: finn.run_hardware_ops(dataflow, codes), slow=True))
    if hls4ml.available():
        found.append(Engine("hls4ml C++", lambda codes, names: hls4ml.run_hls4ml(step, codes, names), slow=True))
    if rtl.available():
        found.append(Engine("RTL in Verilator", lambda codes, names: rtl.run_rtl(whole, codes), slow=True))
        if rtl.has_layers(whole):
            found.append(
                Engine("RTL in Verilator, serial", lambda codes, names: rtl.run_rtl(whole, codes, "serial"), slow=True)
            )
    return found


def coded(model: onnx.ModelProto) -> set[str]:
    """Tensors of ``model`` that are coded and no constants."""
    graph = model.graph
    fixed = {tensor.name for tensor in graph.initializer}
    for node in graph.node:
        if all(name in fixed for name in node.input):
            fixed.update(node.output)
    computed = {name for node in graph.node for name in node.output}
    return (computed & formats_of(model).keys()) - fixed - {ports_of(model).output.name}
