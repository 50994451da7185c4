"""A dataflow graph, of a step or of a sequence, as ports and operations on integers."""

from __future__ import annotations

from functools import cached_property
from typing import Literal

import numpy as np
import onnx
from onnx import numpy_helper

from ..errors import ExportError
from .datatype import range_of
from .forks import forks
from .hardware import Part
from .keys import DATAFLOW, FORM_KEY, LENGTH_KEY, formats_of, property_of
from .operation import Operation
from .ports import ports_of
from .recognition import Tensors, recognised
from .rows import Row


class DataflowGraph:
    """Of a model that was admitted (see ``door``).

    ``operations`` are those of the nodes, in order, each made once. ``channels`` and ``limits`` (low, high, as annotated) are
    by tensor name; ``exponents`` turn codes into values (value = code * 2**exponent, a number or one a channel). ``length``
    is in steps, None if the file does not say. ``compiled``: thresholds as they were proved, for ``compile_rows``.
    """

    def __init__(self, model: onnx.ModelProto):
        graph = model.graph
        self.form = property_of(model, FORM_KEY)
        if self.form not in DATAFLOW:
            raise ExportError(
                f"a {self.form or 'foreign'} graph is no integer graph: give the dataflow.onnx that `ssmq export` writes"
            )
        self.ports = ports_of(model)
        length = property_of(model, LENGTH_KEY)
        self.length = None if length is None else int(length)
        self.exponents = {name: np.asarray(fmt["exponent"]) for name, fmt in formats_of(model).items()}
        datatypes = {note.tensor_name: note.quant_parameter_tensor_names[0].value for note in graph.quantization_annotation}
        infos = [*graph.input, *graph.output, *graph.value_info]
        self.channels = {info.name: info.type.tensor_type.shape.dim[-1].dim_value for info in infos}
        self.inputs = [port.name for port in graph.input]
        self.outputs = [port.name for port in graph.output]
        constants = {tensor.name: numpy_helper.to_array(tensor).astype(np.int64) for tensor in graph.initializer}
        running = frozenset(port.successor for port in self.ports.sums)
        self.compiled: dict[tuple, Row] = {}
        tensors = Tensors(constants, self.channels, datatypes, {}, running, self.compiled)
        for name in self.inputs:
            tensors.ranges[name] = tensors.annotated(name)
        self.operations: list[Operation] = []
        for node in graph.node:
            found = recognised(node, tensors)
            tensors.ranges[found.output] = found.limits
            self.operations.append(found)
        self._width = tensors.width
        self.limits = {name: range_of(datatypes[name]) for name in self.channels}

    @property
    def steps(self) -> int:
        """``length`` of a file that says it."""
        assert self.length is not None
        return self.length

    @cached_property
    def producers(self) -> dict[str, Operation]:
        """The operation of every computed tensor."""
        return {operation.output: operation for operation in self.operations}

    @cached_property
    def memories(self) -> list[Operation]:
        """What keeps codes between operations: a ``state`` a port that is kept, or a sum over time; a ``fork`` a tensor that
        several read."""
        sums = [operation.output for operation in self.operations if operation.kind == "running sum"]
        states = [self._memory("state", name, True) for name in [*(port.name for port in self.ports.kept), *sums]]
        return [*states, *(self._memory("fork", name, waits) for name, waits in forks(self.operations, self.outputs).items())]

    def _memory(self, kind: Literal["state", "fork"], tensor: str, stored: bool) -> Operation:
        channels, width = self.channels[tensor], self._width(tensor)
        part = Part(kind, (channels,), width, width, width, stored=channels if stored else 0)
        low, high = (np.full(channels, end, np.int64) for end in self.limits[tensor])
        op = kind.title()
        return Operation(f"{op}_{tensor}", op, kind, (), tensor, (), (low, high), (channels,), (part,))

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


def operations(model: onnx.ModelProto) -> list[Operation]:
    """The operations of the nodes of an admitted dataflow graph, in order."""
    return DataflowGraph(model).operations
