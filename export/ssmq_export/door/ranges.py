"""Whether the integer types that a dataflow graph is annotated with hold what its tensors can hold.

Ports, thresholds, tables, running sums and what a DiagonalScan gives have the range of their type; sums and products of
those have an exact one, channel by channel. Wider types are a waste; narrower ones would make an estimate of nonsense.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import numpy_helper

from ..dataflow import ranges
from ..dataflow.datatype import range_of
from ..dataflow.keys import TABLE_MARK
from ..dataflow.ports import ports_of
from ..dataflow.ranges import Range
from ..errors import ExportError
from .shapes import ADVICE


def refuse_narrow(model: onnx.ModelProto) -> None:
    """Raise ExportError for a tensor of an admitted dataflow graph whose type cannot hold its sums or products."""
    graph = model.graph
    types = {note.tensor_name: note.quant_parameter_tensor_names[0].value for note in graph.quantization_annotation}
    infos = [*graph.input, *graph.output, *graph.value_info]
    channels = {info.name: info.type.tensor_type.shape.dim[-1].dim_value for info in infos}
    constants = {tensor.name: numpy_helper.to_array(tensor).astype(np.int64) for tensor in graph.initializer}
    running = set(ports_of(model).successors.values())

    def annotated(name: str) -> Range:
        low, high = range_of(types[name])
        return np.full(channels[name], low, np.int64), np.full(channels[name], high, np.int64)

    found = {port.name: annotated(port.name) for port in graph.input}
    for node in graph.node:
        name = node.output[0]
        table = any(entry.key == TABLE_MARK for entry in node.metadata_props)
        try:
            exact = None if table or name in running else _exact(node, found, constants)
        except ExportError as error:
            raise ExportError(f"{name}: {error}") from error
        low, high = annotated(name)
        if exact is not None:
            if np.any(exact[0] < low) or np.any(exact[1] > high):
                raise ExportError(
                    f"{name}: annotated {types[name]}, and its codes reach from {exact[0].min()} to {exact[1].max()}: {ADVICE}"
                )
        found[name] = exact or (low, high)


def _exact(node: onnx.NodeProto, found: dict[str, Range], constants: dict[str, np.ndarray]) -> Range | None:
    """The range of every channel; None where only the type says it."""
    if node.op_type == "MatMul":
        return ranges.matmul(found[node.input[0]], constants[node.input[1]])
    if node.op_type == "MultiThreshold":
        bias = int(next(attribute.f for attribute in node.attribute if attribute.name == "out_bias"))
        rows, count = len(found[node.input[0]][0]), constants[node.input[1]].shape[1]
        return np.full(rows, bias), np.full(rows, bias + count)
    if node.op_type not in ("Mul", "Add", "Sub"):
        return None
    left, right = (found[name] if name in found else ranges.constant(constants[name]) for name in node.input)
    return (
        ranges.product(left, right) if node.op_type == "Mul" else ranges.total(left, right, 1 if node.op_type == "Add" else -1)
    )
