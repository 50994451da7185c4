"""A read-only, indexed view of an ONNX graph, so that nobody searches protobuf lists."""

from __future__ import annotations

import re
from collections import defaultdict
from functools import cached_property

import numpy as np
import onnx

from .constants import array_of, of_node


class GraphView:
    """Producers, consumers, shapes, types and constants of one graph by tensor name."""

    def __init__(self, model: onnx.ModelProto):
        self.model, self.graph = model, model.graph
        self.nodes = list(self.graph.node)
        self.producers: dict[str, list[onnx.NodeProto]] = defaultdict(list)
        self.consumers: dict[str, list[onnx.NodeProto]] = defaultdict(list)
        for node in self.nodes:
            for name in node.output:
                if name:
                    self.producers[name].append(node)
            for name in node.input:
                if name:
                    self.consumers[name].append(node)
        self.initializers = {tensor.name: tensor for tensor in self.graph.initializer}
        self.inputs = [port.name for port in self.graph.input if port.name not in self.initializers]
        self.outputs = [port.name for port in self.graph.output]
        self.infos = {v.name: v for v in [*self.graph.value_info, *self.graph.input, *self.graph.output]}
        self.datatypes = {
            annotation.tensor_name: entry.value
            for annotation in self.graph.quantization_annotation
            for entry in annotation.quant_parameter_tensor_names
            if entry.key == "finn_datatype"
        }
        self.layouts = {  # as qonnx writes them: ['N', 'C']
            annotation.tensor_name: re.findall(r"'(\w)'", entry.value)
            for annotation in self.graph.quantization_annotation
            for entry in annotation.quant_parameter_tensor_names
            if entry.key == "tensor_layout"
        }
        self.opsets = {entry.domain: entry.version for entry in model.opset_import}
        # Of the standard operators.
        self.opset = max(1, self.opsets.get("", self.opsets.get("ai.onnx", 1)))
        self.sparse = {tensor.values.name for tensor in self.graph.sparse_initializer}
        self._arrays: dict[str, np.ndarray | None] = {}

    def output(self, node: onnx.NodeProto) -> str:
        """A node's first output, empty if it has none."""
        return node.output[0] if node.output else ""

    def label(self, node: onnx.NodeProto) -> str:
        """A node's name, or what stands in for it."""
        return node.name or f"{node.op_type} -> {self.output(node)}"

    def shape(self, tensor: str) -> list[int] | None:
        """Static shape, None if unknown or not fully static."""
        if tensor in self.initializers:
            return list(self.initializers[tensor].dims)
        info = self.infos.get(tensor)
        if info is None or not info.type.HasField("tensor_type") or not info.type.tensor_type.HasField("shape"):
            return None
        dims = [d.dim_value for d in info.type.tensor_type.shape.dim]
        return dims if all(d > 0 for d in dims) else None

    def given(self, tensor: str) -> np.ndarray | None:
        """Values of an initialiser or of a Constant node; None for anything else, stored outside the file or malformed."""
        if tensor not in self._arrays:
            producers = self.producers.get(tensor)
            if tensor in self.initializers:
                self._arrays[tensor] = array_of(self.initializers[tensor])
            else:
                self._arrays[tensor] = of_node(producers[0]) if producers and producers[0].op_type == "Constant" else None
        return self._arrays[tensor]

    def array(self, tensor: str) -> np.ndarray | None:
        """As ``given``; a view that computes more than the file holds says so here."""
        return self.given(tensor)

    def numbers(self, tensor: str) -> np.ndarray | None:
        """As ``array``; None too for text and complex values, which cannot be compared with a range."""
        values = self.array(tensor)
        return values if values is not None and values.dtype.kind in "biuf" else None

    @cached_property
    def _static(self) -> set[str]:
        static = set(self.initializers) | self.sparse
        for node in self.nodes:
            sized = node.op_type == "Shape" and node.input and self.shape(node.input[0]) is not None
            if sized or all(name in static for name in node.input if name):
                static.update(node.output)
        return static

    def is_constant(self, tensor: str) -> bool:
        """Whether ``tensor`` is a constant, or computed from constants alone (a parameter through its Quant)."""
        return tensor in self._static
