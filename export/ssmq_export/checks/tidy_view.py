"""The view of a graph that the rules read: with its quantisers, and as FINN's tidy-up leaves it."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import onnx

from ..dataflow.graph_view import GraphView
from .tidy import Tidied

# IntQuant is QONNX's newer name of Quant.
QUANTS = frozenset({"Quant", "IntQuant"})
QUANTIZERS = QUANTS | {"BipolarQuant", "FloatQuant", "Trunc", "QuantizeLinear", "DequantizeLinear"}


class TidyView(GraphView):
    """Of a graph that another tool may have written."""

    def array(self, tensor: str) -> np.ndarray | None:
        """As ``given``, and values that are simply computed from those."""
        values = self.given(tensor)
        return self.tidied.values.get(tensor) if values is None else values

    def is_copied(self, tensor: str) -> bool:
        """Whether FINN puts a DuplicateStreams behind ``tensor``."""
        return len(self.consumers.get(tensor, [])) + (tensor in self.outputs) > 1

    def is_last(self, node: onnx.NodeProto) -> bool:
        """Whether a node's output is one of the graph and nothing else."""
        return self.output(node) in self.outputs and not self.consumers.get(self.output(node))

    @cached_property
    def quants(self) -> list[onnx.NodeProto]:
        return [node for node in self.nodes if node.op_type in QUANTS]

    @cached_property
    def weight_quants(self) -> list[onnx.NodeProto]:
        """Quant nodes of parameters."""
        return [node for node in self.quants if node.input and self.is_constant(node.input[0])]

    @cached_property
    def lowered(self) -> bool:
        """Whether this is to be judged as an integer graph: no quantiser is left in it."""
        return not any(node.op_type in QUANTIZERS for node in self.nodes)

    @cached_property
    def tidied(self) -> Tidied:
        """The graph as FINN's tidy-up leaves it."""
        return Tidied(self)
