"""A read-only, indexed view of an ONNX graph, so that no rule searches protobuf lists."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from functools import cached_property

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

# At most four digits: a foreign file must not make 2**bits eat the memory.
_INTEGER = re.compile(r"(U?)INT([1-9][0-9]{0,3})")
_NARROW = {"BINARY": (0, 1), "BIPOLAR": (-1, 1), "TERNARY": (-1, 1)}


def integer_range(datatype: str) -> tuple[int, int] | None:
    """Range of a FINN integer type (INT8, UINT4, BIPOLAR ...); None for any other."""
    if datatype in _NARROW:
        return _NARROW[datatype]
    match = _INTEGER.fullmatch(datatype)
    if not match:
        return None
    bits = int(match.group(2))
    return (0, 2**bits - 1) if match.group(1) else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


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
        self.opsets = {entry.domain or "": entry.version for entry in model.opset_import}
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
        dims = [d.dim_value if d.HasField("dim_value") else 0 for d in info.type.tensor_type.shape.dim]
        return dims if all(d > 0 for d in dims) else None

    def array(self, tensor: str) -> np.ndarray | None:
        """A constant's values; None if it is not constant, stored outside the file or malformed."""
        if tensor not in self._arrays:
            self._arrays[tensor] = None
            proto = self.initializers.get(tensor)
            if proto is None and self.producers.get(tensor, [None])[0] is not None:
                node = self.producers[tensor][0]
                if node.op_type == "Constant":
                    proto = next((a.t for a in node.attribute if a.name == "value"), None)
            if proto is not None and proto.data_location != TensorProto.EXTERNAL:
                try:
                    values = numpy_helper.to_array(proto)
                    # NumPy knows bfloat16, int4 and their kin as opaque bytes; float32 holds all of them.
                    self._arrays[tensor] = values.astype(np.float32) if values.dtype.kind == "V" else values
                except Exception:  # arbitrary bytes: the decoder raises whatever it stumbles over
                    self._arrays[tensor] = None
        return self._arrays[tensor]

    def numbers(self, tensor: str) -> np.ndarray | None:
        """As ``array``; None too for text and complex values, which cannot be compared with a range."""
        values = self.array(tensor)
        return values if values is not None and values.dtype.kind in "biuf" else None

    @cached_property
    def _static(self) -> set[str]:
        static = set(self.initializers)
        for node in self.nodes:
            if all(name in static for name in node.input if name):
                static.update(node.output)
        return static

    def is_constant(self, tensor: str) -> bool:
        """Whether ``tensor`` is a constant, or computed from constants alone (a parameter through its Quant)."""
        return tensor in self._static

    @cached_property
    def weight_quants(self) -> list[onnx.NodeProto]:
        """Quant nodes of parameters."""
        return [n for n in self.nodes if n.op_type == "Quant" and n.input and self.is_constant(n.input[0])]

    @cached_property
    def quants(self) -> list[onnx.NodeProto]:
        return [n for n in self.nodes if n.op_type == "Quant"]

    @cached_property
    def lowered(self) -> bool:
        """Whether this is to be judged as an integer graph: no Quant is left in it."""
        return not self.quants


def attribute(node: onnx.NodeProto, name: str, default=None):
    """An attribute's value, bytes as text."""
    for found in node.attribute:
        if found.name == name:
            try:
                value = onnx.helper.get_attribute_value(found)
            except ValueError:  # an attribute without a type
                return default
            if isinstance(value, bytes):
                return value.decode(errors="replace")
            return default if value is None else value
    return default


def text_attribute(node: onnx.NodeProto, name: str, default: str) -> str:
    """An attribute as text, whatever its type: foreign files hold lists and numbers where a name belongs."""
    return str(attribute(node, name, default))


def number_attribute(node: onnx.NodeProto, name: str, default: float) -> float:
    """An attribute as a number, NaN if it is none."""
    value = attribute(node, name, default)
    return float(value) if isinstance(value, (int, float)) else math.nan
