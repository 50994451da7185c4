"""A dataflow graph as plain integers: nodes, constants, ranges and exponents, checked once on reading."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import onnx
from onnx import numpy_helper

from ..builder import FORMATS_KEY
from ..check.graph_view import integer_range
from ..errors import ExportError
from ..states import successor

OPERATORS = ("MatMul", "Mul", "Add", "Sub", "MultiThreshold")
ADVICE = "give the dataflow.onnx that `ssmq export` writes"


@dataclass(frozen=True)
class Node:
    """``bias`` is the lowest output code of a MultiThreshold and 0 for every other operator."""

    op: str
    inputs: tuple[str, str]
    output: str
    bias: int = 0


class IntegerGraph:
    """One step: ``u`` and ``states`` in, ``logits`` and the states' successors out.

    ``constants`` are int64 arrays; ``channels`` and ``ranges`` (low, high) are by tensor name; ``exponents`` turn codes
    into values (value = code * 2**exponent, a number or one a channel).
    """

    def __init__(self, model: onnx.ModelProto):
        properties = {p.key: p.value for p in model.metadata_props}
        form = properties.get("ssmq.form")
        if form != "dataflow":
            found = f"a {form} graph" if form else "not a graph written by this program"
            raise ExportError(f"only a dataflow graph runs on integers, and this is {found}: {ADVICE}")
        graph = model.graph
        try:
            formats = json.loads(properties[FORMATS_KEY])
            self.exponents = {name: np.asarray(fmt["exponent"]) for name, fmt in formats.items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ExportError(f"the graph's metadata {FORMATS_KEY} is missing or damaged: {ADVICE}") from error
        self.datatypes = {
            note.tensor_name: entry.value
            for note in graph.quantization_annotation
            for entry in note.quant_parameter_tensor_names
            if entry.key == "finn_datatype"
        }
        self.constants = {tensor.name: self._constant(tensor) for tensor in graph.initializer}
        self.channels = {
            info.name: info.type.tensor_type.shape.dim[-1].dim_value
            for info in [*graph.input, *graph.output, *graph.value_info]
        }
        self.inputs = [port.name for port in graph.input if port.name not in self.constants]
        self.outputs = [port.name for port in graph.output]
        self.states = [name for name in self.inputs if name != "u"]
        self._check_ports()
        self.nodes = [self._node(node) for node in graph.node]
        self._check_order()
        tensors = [*self.inputs, *(node.output for node in self.nodes)]
        self.ranges = {name: self._range(name) for name in tensors}

    @cached_property
    def producers(self) -> dict[str, Node]:
        """The node of every computed tensor."""
        return {node.output: node for node in self.nodes}

    def ancestors(self, tensors: list[str]) -> set[str]:
        """The computed tensors that ``tensors`` depend on, themselves included."""
        found: set[str] = set()
        pending = list(tensors)
        while pending:
            name = pending.pop()
            if name in self.producers and name not in found:
                found.add(name)
                pending += self.producers[name].inputs
        return found

    def _check_ports(self) -> None:
        if "u" not in self.inputs or "logits" not in self.outputs:
            raise ExportError(f"the graph has no input u or no output logits: {ADVICE}")
        for state in self.states:
            if successor(state) not in self.outputs:
                raise ExportError(f"{state}: the graph has no output {successor(state)} to follow it: {ADVICE}")
        if integer_range(self.datatypes.get("u", "")) != (0, 255):
            raise ExportError(f"u: annotated {self.datatypes.get('u', 'with no type')}, inputs are UINT8: {ADVICE}")

    def _check_order(self) -> None:
        known = {*self.constants, *self.inputs}
        for node in self.nodes:
            for name in node.inputs:
                if name not in known:
                    raise ExportError(f"{node.output}: its operand {name} is not computed before it: {ADVICE}")
            known.add(node.output)

    def _constant(self, tensor: onnx.TensorProto) -> np.ndarray:
        values = numpy_helper.to_array(tensor)
        self._range(tensor.name)
        codes = np.rint(values).astype(np.int64)
        if np.any(codes != values):
            raise ExportError(f"{tensor.name}: a constant that is not integer: {ADVICE}")
        return codes

    def _range(self, name: str) -> tuple[int, int]:
        datatype = self.datatypes.get(name)
        found = integer_range(datatype) if datatype else None
        if found is None:
            raise ExportError(f"{name}: annotated {datatype or 'with no type'}, which is no integer type: {ADVICE}")
        if found[0] < -(2**62) or found[1] >= 2**62:
            raise ExportError(f"{name}: {datatype} needs more than 63 bits: choose narrower formats")
        return found

    def _node(self, node: onnx.NodeProto) -> Node:
        if node.op_type not in OPERATORS or len(node.input) != 2:
            raise ExportError(f"node {node.name}: {node.op_type} is no operator of a dataflow graph: {ADVICE}")
        varying = [name not in self.constants for name in node.input]
        if not varying[0] and (node.op_type in ("MatMul", "MultiThreshold") or not varying[1]):
            raise ExportError(f"node {node.name}: its first operand must be computed, not a constant: {ADVICE}")
        if varying[1] and node.op_type in ("MatMul", "MultiThreshold"):
            raise ExportError(f"node {node.name}: its second operand must be a constant: {ADVICE}")
        bias = 0.0
        if node.op_type == "MultiThreshold":
            numbers = {a.name: a.f for a in node.attribute}
            bias = numbers.get("out_bias", 0.0)
            if numbers.get("out_scale", 1.0) != 1.0 or bias != int(bias):
                raise ExportError(f"node {node.name}: its output is scaled or shifted by a fraction: {ADVICE}")
        return Node(node.op_type, tuple(node.input), node.output[0], int(bias))
