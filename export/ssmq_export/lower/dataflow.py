"""The walk over the step graph; the numbered rules are in the package docstring."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx

from ..builder import FORMATS_KEY
from ..elementwise import ELEMENTWISE, ElementwiseFunction, constants_of
from ..errors import ExportError
from ..spec import Format
from . import grids, thresholds
from .grids import Grid
from .writer import DataflowWriter


@dataclass(frozen=True)
class Integer:
    """A tensor of exact codes. ``emit(exponent)`` writes it on that grid and returns its name in the new graph."""

    grid: Grid
    emit: Callable[[np.ndarray], str]


@dataclass(frozen=True)
class Function:
    """A float tensor that is an elementwise function of the integer tensor ``source``."""

    source: str
    nodes: tuple[onnx.NodeProto, ...]


def lower(step: onnx.ModelProto) -> onnx.ModelProto:
    """Lower a step graph. Raises ExportError naming the first node that has no integer form."""
    properties = {p.key: p.value for p in step.metadata_props}
    if properties.get("ssmq.form") != "step":
        raise ExportError("only a step graph written by this program can be lowered, and this is not one")
    return _Lowering(step, properties).run()


class _Lowering:
    def __init__(self, step: onnx.ModelProto, properties: dict[str, str]):
        self.graph, self.properties = step.graph, properties
        self.constants = constants_of(step.graph)
        self.fixed: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        self.values: dict[str, Integer | Function] = {}
        self.dtype = onnx.helper.tensor_dtype_to_np_dtype(step.graph.input[0].type.tensor_type.elem_type)
        self.writer = DataflowWriter(self.dtype)
        self.uses: dict[str, int] = {}
        for node in step.graph.node:
            for name in node.input:
                self.uses[name] = self.uses.get(name, 0) + 1
        # In double graphs a Cast follows each Quant and carries the tensor's name.
        self.names = {node.input[0]: node.output[0] for node in step.graph.node if node.op_type == "Cast"}
        for port in step.graph.output:
            self.uses[port.name] = self.uses.get(port.name, 0) + 2  # a port keeps its own grid

    def run(self) -> onnx.ModelProto:
        formats = json.loads(self.properties[FORMATS_KEY])
        for port in self.graph.input:
            channels = port.type.tensor_type.shape.dim[1].dim_value
            fmt = Format(formats[port.name]["bits"], formats[port.name]["signed"], formats[port.name]["exponent"])
            grid = grids.uniform(channels, fmt.exponent, fmt.low, fmt.high)
            self.writer.input(port.name, grid, fmt.datatype)
            self.values[port.name] = self._written(port.name, grid)
        for node in self.graph.node:
            self._visit(node)
        for port in self.graph.output:
            value = self._integer(port.name)
            value.emit(value.grid.exponent)
        exponents = {
            name: {"datatype": self.writer.datatypes[name], "exponent": exponent}
            for name, exponent in self.writer.exponents.items()
        }
        metadata = {**self.properties, "ssmq.form": "dataflow", FORMATS_KEY: json.dumps(exponents)}
        return self.writer.model([port.name for port in self.graph.output], metadata)

    def _visit(self, node: onnx.NodeProto) -> None:
        varying = [name for name in node.input if name in self.values]
        output = node.output[0]
        if not varying:
            self._constant(node)
        elif node.op_type == "Quant":
            self.values[output] = self._quantised(node)
        elif node.op_type == "Cast" and isinstance(self.values[varying[0]], Integer):
            self.values[output] = self.values[varying[0]]
        elif node.op_type == "MatMul":
            self.values[output] = self._matmul(node)
        elif node.op_type in ELEMENTWISE:
            sources = {self._source(name) for name in varying}
            if len(sources) == 1 and (len(varying) == 1 or node.op_type == "Mul"):
                self.values[output] = self._function(node, varying)
            else:
                self.values[output] = self._join(node)
        else:
            raise ExportError(f"node {node.name}: {node.op_type} has no integer form")

    def _constant(self, node: onnx.NodeProto) -> None:
        if node.op_type == "Cast" and node.input[0] in self.fixed:
            self.fixed[node.output[0]] = self.fixed[node.input[0]]
            self.constants[node.output[0]] = self.constants[node.input[0]].astype(self.dtype)
            return
        if node.op_type != "Quant":
            raise ExportError(f"node {node.name}: only a Quant may stand between a parameter and its consumer")
        values, scale = (self.constants[name].astype(np.float64) for name in node.input[:2])
        mantissa, exponent = np.frexp(scale)
        if np.any(mantissa != 0.5):
            raise ExportError(f"node {node.name}: its scale is not a power of two")
        exponent = np.broadcast_to(exponent.astype(np.int64) - 1, values.shape)
        codes = np.ldexp(values, -exponent)
        if np.any(codes != np.rint(codes)):
            raise ExportError(f"node {node.name}: parameter {node.input[0]} does not lie on its own grid")
        self.fixed[node.output[0]] = codes.astype(np.int64), exponent
        self.constants[node.output[0]] = self.constants[node.input[0]]

    def _source(self, name: str) -> str:
        value = self.values[name]
        return value.source if isinstance(value, Function) else name

    def _function(self, node: onnx.NodeProto, varying: list[str]) -> Function:
        nodes: list[onnx.NodeProto] = []
        for name in varying:
            value = self.values[name]
            if isinstance(value, Function):
                nodes += [n for n in value.nodes if not any(n is m for m in nodes)]
        return Function(self._source(varying[0]), (*nodes, node))

    def _quantised(self, node: onnx.NodeProto) -> Integer:
        value, output = self.values[node.input[0]], self.names.get(node.output[0], node.output[0])
        source = self._source(node.input[0])
        inner = value.nodes if isinstance(value, Function) else ()
        grid = self.values[source].grid
        function = ElementwiseFunction([*inner, node], self.constants, source, grid.exponent, self.dtype)
        signed = next(a.i for a in node.attribute if a.name == "signed")
        bits = int(self.constants[node.input[3]])
        scale = self.constants[node.input[1]].astype(np.float64)
        fmt = Format(bits, bool(signed), np.frexp(scale)[1].astype(np.int64).ravel() - 1)
        result = grids.uniform(grid.channels, fmt.exponent, fmt.low, fmt.high)
        unchanged = np.all(grid.exponent == result.exponent) and grid.low.min() >= fmt.low and grid.high.max() <= fmt.high
        if not inner and unchanged:
            return self.values[source]
        name = self.values[source].emit(grid.exponent)
        if function.rising:
            levels = np.arange(fmt.low + 1, fmt.high + 1)
            found = thresholds.monotone_thresholds(function, grid.low, grid.high, levels)
            self.writer.thresholds(name, output, found, fmt.low, result, fmt.datatype)
        else:
            self._table(name, output, thresholds.table(function, grid.low, grid.high, output), grid, result, fmt)
        return self._written(output, result)

    def _table(self, name: str, output: str, outputs: np.ndarray, grid: Grid, result: Grid, fmt: Format) -> None:
        start, rises, falls = thresholds.rise_and_fall(outputs, int(grid.low.min()))
        if np.any(start != start[0]):
            raise ExportError(f"{output}: channels of a tabulated function must start at one code")
        first = int(start[0])
        up = grids.uniform(grid.channels, result.exponent, first, first + rises.shape[1])
        down = grids.uniform(grid.channels, result.exponent, 0, falls.shape[1])
        self.writer.thresholds(name, f"{output}_rises", rises, first, up, up.datatype)
        self.writer.thresholds(name, f"{output}_falls", falls, 0, down, down.datatype)
        self.writer.node("Sub", [f"{output}_rises", f"{output}_falls"], output, result, fmt.datatype)
        marker = self.writer.nodes[-1].metadata_props.add()
        marker.key, marker.value = "ssmq.non_monotone", output

    def _matmul(self, node: onnx.NodeProto) -> Integer:
        source = self._integer(node.input[0])
        if node.input[1] not in self.fixed:
            raise ExportError(f"node {node.name}: the second operand of a MatMul must be a quantised parameter")
        codes, exponent = self.fixed[node.input[1]]
        inputs = source.grid.exponent[:, None]
        # Zero weights say nothing about the grid: the blocks of B̄ and C must not be dragged to the finest one.
        combined = np.where(codes != 0, exponent + inputs, np.iinfo(np.int32).max)
        columns = combined.min(axis=0)
        columns = np.where(columns == np.iinfo(np.int32).max, (exponent + inputs).min(axis=0), columns)
        shift = np.where(codes != 0, exponent + inputs - columns, 0)
        weight = codes << shift
        grid = grids.matmul(source.grid, weight, columns)
        output = node.output[0]

        def emit(target: np.ndarray, name: str) -> str:
            scaled = self.writer.constant(f"{name}_weight", weight << (columns - target))
            return self.writer.node("MatMul", [source.emit(source.grid.exponent), scaled], name, grid.shifted(target))

        return self._lazy(output, grid, emit)

    def _join(self, node: onnx.NodeProto) -> Integer:
        left, right = (self._integer(name) for name in node.input)
        output = node.output[0]
        if node.op_type == "Mul":
            grid = grids.product(left.grid, right.grid)
            names = [left.emit(left.grid.exponent), right.emit(right.grid.exponent)]
            return self._written(self.writer.node("Mul", names, output, grid), grid)
        if node.op_type not in ("Add", "Sub"):
            raise ExportError(f"node {node.name}: {node.op_type} of two varying tensors has no integer form")
        finest = np.minimum(left.grid.exponent, right.grid.exponent)
        sign = 1 if node.op_type == "Add" else -1
        grid = grids.total(left.grid.shifted(finest), right.grid.shifted(finest), sign)
        if output == "pool_next":
            # The pooling sum is bounded by the length of the sequence, not by one step.
            grid = grids.uniform(grid.channels, finest, int(left.grid.low.min()), int(left.grid.high.max()))

        def emit(target: np.ndarray, name: str) -> str:
            return self.writer.node(node.op_type, [left.emit(target), right.emit(target)], name, grid.shifted(target))

        return self._lazy(output, grid, emit)

    def _integer(self, name: str) -> Integer:
        """The codes of ``name``; a chain of integer operations on parameters is written out, a float one refused."""
        value = self.values[name]
        if isinstance(value, Integer):
            return value
        result = self.values[value.source]
        for node in value.nodes:
            parameter = [i for i in node.input if i in self.fixed]
            if node.op_type not in ("Mul", "Add") or not parameter:
                raise ExportError(
                    f"node {node.name}: a float {node.op_type} reaches {name} with no quantiser between: only functions "
                    f"that end in a Quant become thresholds"
                )
            result = self._with_parameter(node, result, *self.fixed[parameter[0]])
        self.values[name] = result
        return result

    def _with_parameter(self, node: onnx.NodeProto, source: Integer, codes: np.ndarray, exponent: np.ndarray) -> Integer:
        codes = np.broadcast_to(codes.reshape(-1), source.grid.low.shape)
        exponent = np.broadcast_to(exponent.reshape(-1), source.grid.low.shape)
        parameter = Grid(exponent, codes, codes)
        if node.op_type == "Mul":
            grid = grids.product(source.grid, parameter)

            def emit(target: np.ndarray, name: str) -> str:
                constant = self.writer.constant(f"{name}_factor", (codes << (grid.exponent - target))[None])
                operands = [source.emit(source.grid.exponent), constant]
                return self.writer.node("Mul", operands, name, grid.shifted(target))

        else:
            finest = np.minimum(source.grid.exponent, exponent)
            grid = grids.total(source.grid.shifted(finest), parameter.shifted(finest), 1)

            def emit(target: np.ndarray, name: str) -> str:
                constant = self.writer.constant(f"{name}_term", (codes << (exponent - target))[None])
                return self.writer.node("Add", [source.emit(target), constant], name, grid.shifted(target))

        return self._lazy(node.output[0], grid, emit)

    def _lazy(self, name: str, grid: Grid, write: Callable[[np.ndarray, str], str]) -> Integer:
        """Written when first asked for; a shift goes into its constant unless somebody else needs it unshifted."""
        written: dict[str, Integer] = {}

        def emit(target: np.ndarray) -> str:
            if self.uses.get(name, 0) <= 1 and not written:
                return write(target, name)
            if not written:
                write(grid.exponent, name)
                written[name] = self._written(name, grid)
            return written[name].emit(target)

        return Integer(grid, emit)

    def _written(self, name: str, grid: Grid) -> Integer:
        """A tensor of the new graph; on a finer grid it is multiplied, once for each grid asked for."""
        aligned: dict[bytes, str] = {}

        def emit(target: np.ndarray) -> str:
            shift = grid.exponent - target
            if not np.any(shift):
                return name
            key = shift.tobytes()
            if key not in aligned:
                suffix = "" if not aligned else f"_{len(aligned) + 1}"
                factor = np.left_shift(1, shift[:1] if np.all(shift == shift[0]) else shift)[None]
                constant = self.writer.constant(f"{name}_shift{suffix}", factor)
                aligned[key] = self.writer.node("Mul", [name, constant], f"{name}_aligned{suffix}", grid.shifted(target))
            return aligned[key]

        return Integer(grid, emit)
