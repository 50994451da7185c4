"""The step graph as hls4ml can read it, and a fixed-point type for everything in it.

1. A parameter loses its Quant: its values are on their grid already, and their type follows from them.
2. Sums, products and elementwise operators whose float result is exact, by the ranges of their operands, stay what
   they are; Clip, which hls4ml does not know, becomes the difference of two Relus.
3. A Quant of such a tensor stays a Quant (AP_RND_CONV, AP_SAT). One with an exponent a channel gets the shifts before
   and after it as multiplications.
4. Where a float operator rounds (batch norm) or has no fixed-point form (a table, Sigmoid), everything from the last exact
   tensor to the Quant becomes the thresholds that the same search finds for the dataflow graph.
5. The Cast behind a Quant of a double graph disappears: fixed-point numbers are as wide as they need to be.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx

from ..dataflow import grids
from ..dataflow.format import Format
from ..dataflow.grids import Grid
from ..dataflow.keys import FORM_KEY, formats_of, property_of
from ..dataflow.ports import ports_of
from ..errors import ExportError
from ..functions import thresholds
from ..functions.elementwise import ELEMENTWISE, ElementwiseFunction, constants_of
from .identifiers import rename
from .types import constant_grid, dyadic, fits
from .writer import HlsWriter, spread

_MANTISSA = {np.dtype(np.float32): 24, np.dtype(np.float64): 53}
# Codes are int64; a bound this wide is far past any mantissa, so what it refuses is inexact anyway.
_WIDEST_CODE = 61


@dataclass(frozen=True)
class Value:
    """A tensor. ``grid`` is None for one that only floats hold; ``nodes`` lead to it from the exact tensor ``root``."""

    grid: Grid | None
    root: str
    nodes: tuple[onnx.NodeProto, ...] = ()

    @property
    def exact(self) -> Grid:
        """The grid of a tensor that has one, as a root has."""
        assert self.grid is not None, self.root
        return self.grid


@dataclass(frozen=True)
class HlsGraph:
    """``types``: node name -> {"result", "weight", ...} -> type. ``outputs``: port names in the order of their nodes,
    which is the order in which hls4ml gives them. ``identifiers``: name in the step graph -> name in ``model``."""

    model: onnx.ModelProto
    types: dict[str, dict[str, str]]
    outputs: list[str]
    identifiers: dict[str, str]


def hls_graph(step: onnx.ModelProto) -> HlsGraph:
    """Prepare a step graph. Raises ExportError naming the first node that hls4ml could not compute exactly."""
    if property_of(step, FORM_KEY) != "step":
        raise ExportError("hls4ml gets the step graph (step.onnx of `ssmq export`), and this is not one")
    return _Preparation(step, formats_of(step)).run()


class _Preparation:
    def __init__(self, step: onnx.ModelProto, formats: dict[str, dict]):
        self.graph, self.formats = step.graph, formats
        self.dtype = onnx.helper.tensor_dtype_to_np_dtype(step.graph.input[0].type.tensor_type.elem_type)
        self.constants = constants_of(step.graph)
        self.running = {port.successor: port.name for port in ports_of(step).sums}
        self.values: dict[str, Value] = {}
        self.written: dict[str, str] = {}  # a tensor of the step graph -> its name in the new one, where they differ
        self.quantized: set[str] = set()
        self.writer = HlsWriter()

    def run(self) -> HlsGraph:
        for port in self.graph.input:
            fmt = Format(**self.formats[port.name])
            channels = port.type.tensor_type.shape.dim[1].dim_value
            grid = grids.uniform(channels, np.asarray(fmt.exponent), fmt.low, fmt.high)
            self.writer.input(port.name, grid)
            self.values[port.name] = Value(grid, port.name)
        for node in self.graph.node:
            self._visit(node)
        ports = {self._name(port.name): port.name for port in self.graph.output}
        sizes = [(name, self._exact(port, "it is an output").channels) for name, port in ports.items()]
        model = self.writer.model(sizes)
        outputs = [ports[node.output[0]] for node in model.graph.node if node.output[0] in ports]
        types, names = rename(model.graph, self.writer.types)
        return HlsGraph(model, types, outputs, names)

    def _name(self, tensor: str) -> str:
        return self.written.get(tensor, tensor)

    def _exact(self, tensor: str, why: str) -> Grid:
        value = self.values[tensor]
        if value.grid is None:
            function = value.nodes[-1].op_type
            raise ExportError(f"{tensor}: a float {function} reaches it with no quantiser between and {why}")
        return value.grid

    def _visit(self, node: onnx.NodeProto) -> None:
        varying = [name for name in node.input if name in self.values]
        output = node.output[0]
        if not varying:
            self.constants[output] = self._parameter(node)
        elif node.op_type == "Quant":
            self._quantize(node)
        elif node.op_type == "Cast" and node.input[0] in self.quantized and self.dtype == np.float64:
            self.values[output], self.written[output] = Value(self.values[varying[0]].grid, output), self._name(varying[0])
        elif node.op_type == "MatMul":
            self._matmul(node)
        elif node.op_type in ELEMENTWISE:
            self._elementwise(node, varying)
        else:
            raise ExportError(f"node {node.name}: {node.op_type} has no fixed-point form")

    def _parameter(self, node: onnx.NodeProto) -> np.ndarray:
        values = self.constants[node.input[0]]
        if node.op_type == "Cast":
            return values.astype(self.dtype)
        if node.op_type != "Quant":
            raise ExportError(f"node {node.name}: only a Quant may stand between a parameter and its consumer")
        codes = values.astype(np.float64) / self.constants[node.input[1]].astype(np.float64)
        if np.any(codes != np.rint(codes)):
            raise ExportError(f"node {node.name}: parameter {node.input[0]} does not lie on its own grid")
        return values

    def _matmul(self, node: onnx.NodeProto) -> None:
        source, weight = self._exact(node.input[0], "a MatMul sums it"), self.constants.get(node.input[1])
        if weight is None:
            raise ExportError(f"node {node.name}: the second operand of a MatMul must be a parameter")
        codes, exponents = dyadic(weight)
        combined = exponents + source.exponent[:, None]
        # Zero weights say nothing about the grid of a column.
        finest = np.where(codes != 0, combined, np.iinfo(np.int32).max).min(axis=0)
        columns = np.where(np.any(codes != 0, axis=0), finest, source.exponent.min())
        grid = grids.matmul(source, codes << np.where(codes != 0, combined - columns, 0), columns)
        self.writer.matmul(self._name(node.input[0]), weight, node.output[0], grid)
        self.values[node.output[0]] = Value(grid, node.output[0])

    def _elementwise(self, node: onnx.NodeProto, varying: list[str]) -> None:
        output, operands = node.output[0], [self.values[name] for name in varying]
        grid = None if any(value.grid is None for value in operands) else self._result(node, varying)
        if len({value.root for value in operands}) > 1:
            for name in varying:
                self._exact(name, f"{node.op_type} joins it with another tensor")
            if grid is None:
                raise ExportError(f"node {node.name}: {node.op_type} of two tensors has no fixed-point form")
            if output in self.running:
                # A running sum is bounded by the length of the sequence, not by one step.
                before = self.values[self.running[output]].exact.shifted(grid.exponent)
                grid = Grid(grid.exponent, before.low, before.high)
            self.values[output] = Value(grid, output)
        else:
            earlier = {id(other): other for value in operands for other in value.nodes}
            nodes = (*earlier.values(), node)
            if grid is None or not fits(grid, _MANTISSA[self.dtype]):
                self.values[output] = Value(None, operands[0].root, nodes)
                return
            self.values[output] = Value(grid, operands[0].root, nodes)
        self._write(node, varying, grid)

    def _result(self, node: onnx.NodeProto, varying: list[str]) -> Grid | None:
        """The grid of an operator's exact result; None if it has none, or none that int64 codes can hold."""
        first = self.values[varying[0]].exact
        fixed = [constant_grid(spread(self.constants[i], first.channels)) for i in node.input if i in self.constants]
        if node.op_type == "Clip" and len(fixed) == 2:
            finest = np.minimum(first.exponent, np.minimum(fixed[0].exponent, fixed[1].exponent))
            source, low, high = (side.shifted(finest) for side in (first, fixed[0], fixed[1]))
            return Grid(finest, np.clip(source.low, low.low, high.high), np.clip(source.high, low.low, high.high))
        if node.op_type == "Relu":
            return Grid(first.exponent, np.maximum(first.low, 0), np.maximum(first.high, 0))
        if node.op_type not in ("Mul", "Add", "Sub") or (node.op_type == "Sub" and node.input[0] in self.constants):
            return None
        second = self.values[varying[1]].exact if len(varying) == 2 else fixed[0]
        if node.op_type == "Mul":
            return grids.product(first, second) if _bits(first) + _bits(second) <= _WIDEST_CODE else None
        finest = np.minimum(first.exponent, second.exponent)
        if max(_bits(side) + int((side.exponent - finest).max()) for side in (first, second)) > _WIDEST_CODE:
            return None
        return grids.total(first.shifted(finest), second.shifted(finest), 1 if node.op_type == "Add" else -1)

    def _write(self, node: onnx.NodeProto, varying: list[str], grid: Grid) -> None:
        output, source = node.output[0], self._name(varying[0])
        fixed = [self.constants[name] for name in node.input if name in self.constants]
        if node.op_type == "Clip":
            low, high = fixed
            self.writer.clip(source, self.values[varying[0]].exact, low, high, output, grid)
        elif fixed:
            self.writer.with_constant(node.op_type, source, fixed[0], output, grid)
        else:
            self.writer.node(node.op_type, [self._name(name) for name in node.input], output, grid, {})

    def _quantize(self, node: onnx.NodeProto) -> None:
        value, output = self.values[node.input[0]], node.output[0]
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        scale = self.constants[node.input[1]].astype(np.float64).ravel()
        exponent = np.frexp(scale)[1].astype(np.int64) - 1
        fmt = Format(int(self.constants[node.input[3]]), bool(attributes["signed"]), exponent)
        result = grids.uniform(self.values[value.root].exact.channels, fmt.exponent, fmt.low, fmt.high)
        if value.grid is None:
            self._thresholds(node, value, fmt, result)
        else:
            self.writer.quant(self._name(node.input[0]), value.grid, output, fmt, attributes)
        self.quantized.add(output)
        self.values[output] = Value(result, output)

    def _thresholds(self, node: onnx.NodeProto, value: Value, fmt: Format, result: Grid) -> None:
        """Counts on one grid for all channels, and behind them the exponents of the channels where they differ."""
        output, writer = node.output[0], self.writer
        one = bool(np.all(result.exponent == result.exponent[0]))
        codes = output if one else f"{output}_codes"
        counted = result if one else grids.uniform(result.channels, 0, fmt.low, fmt.high)
        source, grid = self._name(value.root), self.values[value.root].exact
        function = ElementwiseFunction([*value.nodes, node], self.constants, value.root, grid.exponent, self.dtype)
        signs = function.directions
        if signs is None:
            table = thresholds.table(function, grid.low, grid.high, output)
            start, rises, falls = thresholds.rise_and_fall(table, int(grid.low.min()))
            parts = [f"{codes}_rises", f"{codes}_falls"]
            for name, levels, lowest in zip(parts, (rises, falls), (start, 0), strict=True):
                part = grids.uniform(result.channels, counted.exponent, lowest, lowest + levels.shape[1])
                writer.thresholds(source, _values(levels, grid), lowest, name, part)
            writer.node("Sub", parts, codes, counted, {})
        else:
            found = thresholds.turned_thresholds(function, signs, grid.low, grid.high, np.arange(fmt.low + 1, fmt.high + 1))
            if np.any(signs < 0):
                turned = grids.product(grid, constant_grid(spread(signs, grid.channels)))
                writer.with_constant("Mul", source, signs, f"{output}_turned", turned)
                source = f"{output}_turned"
            writer.thresholds(source, _values(found, grid), fmt.low, codes, counted)
        if not one:
            writer.with_constant("Mul", codes, np.ldexp(1.0, result.exponent), output, result)


def _values(levels: np.ndarray, grid: Grid) -> np.ndarray:
    return np.ldexp(levels.astype(np.float64), grid.exponent[:, None])


def _bits(grid: Grid) -> int:
    return max(int(np.abs(grid.low).max()), int(np.abs(grid.high).max()), 1).bit_length()
