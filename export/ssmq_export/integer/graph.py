"""A dataflow graph as plain integers: nodes, constants, ranges and exponents."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import onnx
from onnx import numpy_helper

from ..dataflow.datatype import integer_range
from ..dataflow.keys import FORMATS_KEY

ADVICE = "give the dataflow.onnx that `ssmq export` writes"


@dataclass(frozen=True)
class Node:
    """``bias`` is the lowest output code of a MultiThreshold and 0 for every other operator."""

    op: str
    inputs: tuple[str, str]
    output: str
    bias: int = 0


class IntegerGraph:
    """One step: ``u`` and ``states`` in, ``logits`` and the states' successors out, of a model that was admitted.

    ``constants`` are int64 arrays; ``channels`` and ``ranges`` (low, high) are by tensor name; ``exponents`` turn codes
    into values (value = code * 2**exponent, a number or one a channel).
    """

    def __init__(self, model: onnx.ModelProto):
        properties = {p.key: p.value for p in model.metadata_props}
        graph = model.graph
        formats = json.loads(properties[FORMATS_KEY])
        self.exponents = {name: np.asarray(fmt["exponent"]) for name, fmt in formats.items()}
        self.datatypes = {
            note.tensor_name: note.quant_parameter_tensor_names[0].value for note in graph.quantization_annotation
        }
        self.constants = {tensor.name: numpy_helper.to_array(tensor).astype(np.int64) for tensor in graph.initializer}
        self.channels = {
            info.name: info.type.tensor_type.shape.dim[-1].dim_value
            for info in [*graph.input, *graph.output, *graph.value_info]
        }
        self.inputs = [port.name for port in graph.input]
        self.outputs = [port.name for port in graph.output]
        self.states = [name for name in self.inputs if name != "u"]
        self.nodes = [self._node(node) for node in graph.node]
        tensors = [*self.inputs, *(node.output for node in self.nodes)]
        self.ranges = {name: integer_range(self.datatypes[name]) for name in tensors}

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

    @staticmethod
    def _node(node: onnx.NodeProto) -> Node:
        bias = next((int(a.f) for a in node.attribute if a.name == "out_bias"), 0)
        return Node(node.op_type, tuple(node.input), node.output[0], bias)
