"""The step graph as hls4ml can read it, and a fixed-point type for everything in it.

1. A parameter loses its Quant: its values are on their grid already, and their type follows from them.
2. Sums, products and elementwise operators whose float result is exact, by the ranges of their operands, stay what
   they are; Clip, which hls4ml does not know, becomes the difference of two Relus.
3. A Quant of such a tensor stays a Quant (AP_RND_CONV, AP_SAT). One with an exponent a channel gets the shifts before
   and after it as multiplications.
4. Where a float operator rounds (batch norm) or has no fixed-point form (Erf, Sigmoid), everything from the last exact
   tensor to the Quant becomes the thresholds that the same search finds for the dataflow graph.
5. A Cast disappears: fixed-point numbers are as wide as they need to be.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import onnx

from ..builder import FORMATS_KEY, QONNX_DOMAIN, GraphBuilder
from ..elementwise import ELEMENTWISE, ElementwiseFunction, constants_of
from ..errors import ExportError
from ..lower import grids, thresholds
from ..lower.grids import Grid
from ..spec import Format
from .types import WIDEST, constant_grid, dyadic, fits, fixed_type, width

THRESHOLDS = "SsmqThresholds"
_MANTISSA = {np.dtype(np.float32): 24, np.dtype(np.float64): 53}


@dataclass(frozen=True)
class Value:
    """A tensor. ``grid`` is None for one that only floats hold; ``nodes`` lead to it from the exact tensor ``root``."""

    grid: Grid | None
    root: str
    nodes: tuple[onnx.NodeProto, ...] = ()


@dataclass(frozen=True)
class HlsGraph:
    """``types``: node name -> {"result", "weight", ...} -> type. ``outputs``: port names in the order of their nodes,
    which is the order in which hls4ml gives them."""

    model: onnx.ModelProto
    types: dict[str, dict[str, str]]
    outputs: list[str]


def hls_graph(step: onnx.ModelProto) -> HlsGraph:
    """Prepare a step graph. Raises ExportError naming the first node that hls4ml could not compute exactly."""
    properties = {p.key: p.value for p in step.metadata_props}
    if properties.get("ssmq.form") != "step":
        raise ExportError("hls4ml gets the step graph (step.onnx of `ssmq export`), and this is not one")
    return _Preparation(step, json.loads(properties[FORMATS_KEY])).run()


class _Preparation:
    def __init__(self, step: onnx.ModelProto, formats: dict[str, dict]):
        self.graph, self.formats = step.graph, formats
        self.dtype = onnx.helper.tensor_dtype_to_np_dtype(step.graph.input[0].type.tensor_type.elem_type)
        self.constants = constants_of(step.graph)
        self.values: dict[str, Value] = {}
        self.written: dict[str, str] = {}  # a tensor of the step graph -> its name in the new one, where they differ
        self.types: dict[str, dict[str, str]] = {}
        self.quantised: set[str] = set()
        self.builder = GraphBuilder(1, np.float64)

    def run(self) -> HlsGraph:
        for port in self.graph.input:
            channels = port.type.tensor_type.shape.dim[1].dim_value
            fmt = Format(**self.formats[port.name])
            grid = grids.uniform(channels, np.asarray(fmt.exponent), fmt.low, fmt.high)
            self.builder.input(port.name, channels)
            self.types[port.name] = {"result": fixed_type(grid)}
            self.values[port.name] = Value(grid, port.name)
        for node in self.graph.node:
            self._visit(node)
        ports = {self._name(port.name): port.name for port in self.graph.output}
        for name, port in ports.items():
            grid = self._exact(port, "it is an output").grid
            self.builder.output(name, grid.channels)
        model = self.builder.model("step", {})
        _keep(model.graph, set(ports))
        outputs = [ports[node.output[0]] for node in model.graph.node if node.output[0] in ports]
        for tensor in model.graph.initializer:
            # hls4ml wants the shape of every operand declared, constants included.
            model.graph.value_info.append(onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
        return HlsGraph(model, self.types, outputs)

    def _name(self, tensor: str) -> str:
        return self.written.get(tensor, tensor)

    def _exact(self, tensor: str, why: str) -> Value:
        value = self.values[tensor]
        if value.grid is None:
            raise ExportError(f"{tensor}: a float {value.nodes[-1].op_type} reaches it with no quantiser between and {why}")
        return value

    def _visit(self, node: onnx.NodeProto) -> None:
        varying = [name for name in node.input if name in self.values]
        output = node.output[0]
        if not varying:
            self.constants[output] = self._parameter(node)
        elif node.op_type == "Quant":
            self._quantise(node)
        elif node.op_type == "Cast" and node.input[0] in self.quantised:
            self.values[output], self.written[output] = self.values[varying[0]], self._name(varying[0])
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

    def _emit(self, op: str, inputs: list[str], output: str, grid: Grid, types: dict[str, str], **attributes) -> None:
        """Append a node; ``types`` are those of its parameters, its result's follows from ``grid``."""
        result = fixed_type(grid)
        if width(result) > WIDEST:
            raise ExportError(
                f"{output}: an exact result needs {width(result)} bits, more than the {WIDEST} that can be compared with "
                f"a float graph: narrow the tensors that feed it"
            )
        domain = QONNX_DOMAIN if op == "Quant" else ""
        self.builder.node(op, inputs, output, grid.channels, domain, **attributes)
        self.types[f"{op}_{output}"] = {"result": result, **types}

    def _matmul(self, node: onnx.NodeProto) -> None:
        source, weight = self._exact(node.input[0], "a MatMul sums it"), self.constants.get(node.input[1])
        output = node.output[0]
        if weight is None:
            raise ExportError(f"node {node.name}: the second operand of a MatMul must be a parameter")
        codes, exponents = dyadic(weight)
        combined = np.where(codes != 0, exponents + source.grid.exponent[:, None], np.iinfo(np.int32).max)
        columns = np.where(np.any(codes != 0, axis=0), combined.min(axis=0), source.grid.exponent.min())
        shifted = codes << np.where(codes != 0, combined - columns, 0)
        grid = grids.matmul(source.grid, shifted, columns)
        constant = self.builder.constant(f"{output}_weight", weight)
        types = {"weight": fixed_type(constant_grid(weight)), "bias": "fixed<2,2>", "accum": fixed_type(grid)}
        self._emit("MatMul", [self._name(node.input[0]), constant], output, grid, types)
        self.values[output] = Value(grid, output)

    def _elementwise(self, node: onnx.NodeProto, varying: list[str]) -> None:
        output, operands = node.output[0], [self.values[name] for name in varying]
        joined = len({value.root for value in operands}) > 1
        grid = None if any(value.grid is None for value in operands) else self._result(node, varying)
        if joined:
            if grid is None:
                for name in varying:
                    self._exact(name, f"{node.op_type} joins it with another tensor")
                raise ExportError(f"node {node.name}: {node.op_type} of two tensors has no fixed-point form")
            self.values[output] = Value(grid, output)
        else:
            # ElementwiseFunction needs the nodes once each, in order.
            nodes = {id(n): n for value in operands for n in (*value.nodes, node)}
            nodes.pop(id(node))
            exact = grid is not None and fits(grid, _MANTISSA[self.dtype])
            self.values[output] = Value(grid if exact else None, operands[0].root, (*nodes.values(), node))
            if not exact:
                return
        self._write(node, varying, grid)

    def _result(self, node: onnx.NodeProto, varying: list[str]) -> Grid | None:
        """The grid of an operator's exact result; None if it has none, or none that int64 codes can hold."""
        first = self.values[varying[0]].grid
        fixed = [self.constants[name] for name in node.input if name in self.constants]
        if node.op_type == "Clip" and len(node.input) == 3:
            low, high = (constant_grid(np.broadcast_to(value, first.low.shape)) for value in fixed)
            return _between(first, low, high)
        if node.op_type == "Relu":
            return Grid(first.exponent, np.maximum(first.low, 0), np.maximum(first.high, 0))
        if node.op_type not in ("Mul", "Add", "Sub") or (node.op_type == "Sub" and node.input[0] in self.constants):
            return None
        second = self.values[varying[1]].grid if len(varying) == 2 else _spread(fixed[0], first.channels)
        if node.op_type == "Mul":
            return grids.product(first, second) if _bits(first) + _bits(second) < 62 else None
        finest = np.minimum(first.exponent, second.exponent)
        if max(_bits(side) + int((side.exponent - finest).max()) for side in (first, second)) > 61:
            return None
        return grids.total(first.shifted(finest), second.shifted(finest), 1 if node.op_type == "Add" else -1)

    def _write(self, node: onnx.NodeProto, varying: list[str], grid: Grid) -> None:
        output = node.output[0]
        if output == "pool_next":
            # The pooling sum is bounded by the length of the sequence, not by one step.
            pool = self.values["pool"].grid
            grid = Grid(grid.exponent, *(getattr(pool.shifted(grid.exponent), end) for end in ("low", "high")))
            self.values[output] = Value(grid, output)
        if node.op_type == "Clip":
            self._clip(node, grid)
            return
        inputs, types = [], {}
        for name in node.input:
            if name in self.constants:
                values = _channels(self.constants[name], grid.channels)
                inputs.append(self.builder.constant(f"{output}_constant", values))
                kind, other = ("scale", "bias") if node.op_type == "Mul" else ("bias", "scale")
                # hls4ml subtracts a constant by adding its negative.
                typed = constant_grid(np.concatenate([values, -values]) if node.op_type == "Sub" else values)
                types = {kind: fixed_type(typed), other: "fixed<2,2>"}
            else:
                inputs.append(self._name(name))
        self._emit(node.op_type, inputs, output, grid, types)

    def _clip(self, node: onnx.NodeProto, grid: Grid) -> None:
        """clip(x, low, high) = low + relu(x - low) - relu(x - high)."""
        output, source = node.output[0], self.values[node.input[0]].grid
        low, high = (_channels(self.constants[name], grid.channels) for name in node.input[1:])
        parts = []
        for name, bound in (("above_low", low), ("above_high", high)):
            shift = _spread(-bound, grid.channels)
            finest = np.minimum(source.exponent, shift.exponent)
            moved = grids.total(source.shifted(finest), shift.shifted(finest), 1)
            self._shift(self._name(node.input[0]), f"{output}_{name}_shifted", -bound, moved)
            positive = Grid(moved.exponent, np.maximum(moved.low, 0), np.maximum(moved.high, 0))
            self._emit("Relu", [f"{output}_{name}_shifted"], f"{output}_{name}", positive, {})
            parts.append((f"{output}_{name}", positive))
        (first, left), (second, right) = parts
        finest = np.minimum(left.exponent, right.exponent)
        between = grids.total(left.shifted(finest), right.shifted(finest), -1)
        self._emit("Sub", [first, second], f"{output}_between", between, {})
        self._shift(f"{output}_between", output, low, grid)

    def _shift(self, source: str, output: str, values: np.ndarray, grid: Grid) -> None:
        constant = self.builder.constant(f"{output}_constant", values)
        types = {"bias": fixed_type(constant_grid(values)), "scale": "fixed<2,2>"}
        self._emit("Add", [source, constant], output, grid, types)

    def _quantise(self, node: onnx.NodeProto) -> None:
        value, output = self.values[node.input[0]], node.output[0]
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        scale = self.constants[node.input[1]].astype(np.float64).ravel()
        fmt = Format(int(self.constants[node.input[3]]), bool(attributes["signed"]), np.frexp(scale)[1].astype(np.int64) - 1)
        channels = self.values[value.root].grid.channels
        result = grids.uniform(channels, fmt.exponent, fmt.low, fmt.high)
        self.quantised.add(output)
        self.values[output] = Value(result, output)
        if value.grid is None:
            self._thresholds(node, value, fmt, result)
            return
        source, name = value.grid, self._name(node.input[0])
        uniform = np.all(fmt.exponent == fmt.exponent[0])
        quant, target = (output, result) if uniform else (f"{output}_codes", grids.uniform(channels, 0, fmt.low, fmt.high))
        if not uniform:
            scaled = Grid(source.exponent - fmt.exponent, source.low, source.high)
            self._scale(name, f"{output}_scaled", -fmt.exponent, scaled)
            name = f"{output}_scaled"
        inputs = [
            name,
            self.builder.constant(f"{quant}_scale", 2.0 ** float(target.exponent[0])),
            self.builder.constant(f"{quant}_zero_point", 0.0),
            self.builder.constant(f"{quant}_bits", float(fmt.bits)),
        ]
        self._emit("Quant", inputs, quant, target, {}, **attributes)
        if not uniform:
            self._scale(quant, output, fmt.exponent, result)

    def _scale(self, source: str, output: str, exponent: np.ndarray, grid: Grid) -> None:
        values = np.ldexp(1.0, np.broadcast_to(exponent, (grid.channels,)))[None]
        types = {"scale": fixed_type(constant_grid(values)), "bias": "fixed<2,2>"}
        constant = self.builder.constant(f"{output}_constant", values)
        self._emit("Mul", [source, constant], output, grid, types)

    def _thresholds(self, node: onnx.NodeProto, value: Value, fmt: Format, result: Grid) -> None:
        output, grid = node.output[0], self.values[value.root].grid
        if np.any(fmt.exponent != fmt.exponent[0]):
            raise ExportError(f"{output}: a function of floats must end in one exponent for all channels")
        function = ElementwiseFunction([*value.nodes, node], self.constants, value.root, grid.exponent, self.dtype)
        if function.rising:
            levels = np.arange(fmt.low + 1, fmt.high + 1)
            found = thresholds.monotone_thresholds(function, grid.low, grid.high, levels)
            self._count(value.root, output, found, fmt.low, result)
            return
        table = thresholds.table(function, grid.low, grid.high, output)
        start, rises, falls = thresholds.rise_and_fall(table, int(grid.low.min()))
        if np.any(start != start[0]):
            raise ExportError(f"{output}: channels of a tabulated function must start at one code")
        first = int(start[0])
        for name, levels, lowest in ((f"{output}_rises", rises, first), (f"{output}_falls", falls, 0)):
            counts = grids.uniform(result.channels, result.exponent, lowest, lowest + levels.shape[1])
            self._count(value.root, name, levels, lowest, counts)
        self._emit("Sub", [f"{output}_rises", f"{output}_falls"], output, result, {})

    def _count(self, source: str, output: str, levels: np.ndarray, lowest: int, grid: Grid) -> None:
        """A threshold layer; ``levels`` ``(channels, n)`` are codes of ``source``."""
        values = np.ldexp(levels.astype(np.float64), self.values[source].grid.exponent[:, None])
        step = 2.0 ** float(grid.exponent[0])
        attribute = onnx.numpy_helper.from_array(values, f"{output}_thresholds")
        types = {"threshold": fixed_type(constant_grid(values))}
        self._emit(THRESHOLDS, [self._name(source)], output, grid, types, thresholds=attribute, lowest=lowest, step=step)


def _bits(grid: Grid) -> int:
    return max(int(np.abs(grid.low).max()), int(np.abs(grid.high).max()), 1).bit_length()


def _channels(values: np.ndarray, channels: int) -> np.ndarray:
    """One constant a channel, ``(1, channels)``: hls4ml's C++ does not broadcast."""
    return np.broadcast_to(np.asarray(values, np.float64).reshape(-1), (channels,))[None].copy()


def _spread(values: np.ndarray, channels: int) -> Grid:
    return constant_grid(_channels(values, channels))


def _between(source: Grid, low: Grid, high: Grid) -> Grid:
    finest = np.minimum(source.exponent, np.minimum(low.exponent, high.exponent))
    source, low, high = (side.shifted(finest) for side in (source, low, high))
    return Grid(finest, np.clip(source.low, low.low, high.high), np.clip(source.high, low.low, high.high))


def _keep(graph: onnx.GraphProto, wanted: set[str]) -> None:
    """Remove nodes and constants on which no output depends: exact parts of a function that became thresholds."""
    kept = []
    for node in reversed(graph.node):
        if node.output[0] in wanted:
            kept.insert(0, node)
            wanted = wanted | set(node.input)
    constants = [tensor for tensor in graph.initializer if tensor.name in wanted]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(kept)
    graph.initializer.extend(constants)
