"""One node as a condition sees it: after FINN's tidy-up."""

from __future__ import annotations

from typing import overload

import numpy as np
import onnx

from ...dataflow.attributes import attribute, integer_attribute, integers_attribute, number_attribute, text_attribute
from ..tidy_view import TidyView


class Site:
    """A node with its operands' shapes, types and constants by position; None where they are not known."""

    def __init__(self, view: TidyView, node: onnx.NodeProto):
        self.view, self.node = view, node

    def has(self, k: int) -> bool:
        return len(self.node.input) > k and bool(self.node.input[k])

    def shape(self, k: int = 0) -> list[int] | None:
        return self.view.tidied.shape(self.node.input[k]) if self.has(k) else None

    def result(self) -> list[int] | None:
        """Shape of the first output."""
        return self.view.tidied.shape(self.view.output(self.node))

    def datatype(self, k: int = 0) -> str:
        """FINN's type of an operand while it converts."""
        return self.view.tidied.datatypes.get(self.node.input[k], "FLOAT32") if self.has(k) else ""

    def hardware_type(self, k: int = 0) -> str:
        """FINN's type of an operand once elementwise operators are converted."""
        return self.view.tidied.hardware.get(self.node.input[k], "FLOAT32") if self.has(k) else ""

    def is_constant(self, k: int) -> bool:
        return self.has(k) and self.view.is_constant(self.node.input[k])

    def constant(self, k: int) -> np.ndarray | None:
        """Numbers of a constant operand."""
        return self.view.numbers(self.node.input[k]) if self.has(k) else None

    def listed(self, k: int) -> list[int] | None:
        """A constant operand of a few integers (axes, sizes) as a list."""
        values = self.constant(k)
        return None if values is None or values.size > 64 or values.dtype.kind not in "iu" else values.ravel().tolist()

    @overload
    def integer(self, name: str) -> int | None: ...

    @overload
    def integer(self, name: str, default: int) -> int: ...

    def integer(self, name: str, default: int | None = None) -> int | None:
        found = integer_attribute(self.node, name)
        return default if found is None else found

    def integers(self, name: str) -> list[int] | None:
        return integers_attribute(self.node, name)

    def number(self, name: str, default: float) -> float:
        return number_attribute(self.node, name, default)

    def text(self, name: str, default: str) -> str:
        return text_attribute(self.node, name, default)

    def given(self, name: str) -> bool:
        return attribute(self.node, name) is not None

    @property
    def producer(self) -> onnx.NodeProto | None:
        """The node whose output is the first operand."""
        found = self.view.producers.get(self.node.input[0]) if self.node.input else None
        return found[0] if found else None

    def readers(self) -> list[onnx.NodeProto]:
        """The nodes that read the first output."""
        return self.view.consumers.get(self.view.output(self.node), [])

    @property
    def only_reader(self) -> onnx.NodeProto | None:
        """The node that reads the first output, if nothing else does."""
        match self.readers():
            case [reader] if not self.is_output():
                return reader
        return None

    def is_output(self) -> bool:
        return self.view.output(self.node) in self.view.outputs

    def is_first(self) -> bool:
        """Whether it is the first node of FINN's graph."""
        nodes = self.view.tidied.nodes
        first = self.view.inputs[:1]
        copied = first and len(self.view.consumers.get(first[0], [])) > 1  # a DuplicateStreams goes before it
        return bool(nodes) and nodes[0] is self.node and not copied
