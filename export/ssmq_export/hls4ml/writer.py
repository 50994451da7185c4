"""Writes the graph that hls4ml reads: one constant a channel, a type for every node, every shape declared."""

from __future__ import annotations

import numpy as np
import onnx

from ..dataflow.format import Format
from ..dataflow.grids import Grid, total, uniform
from ..dataflow.keys import QONNX_DOMAIN
from ..errors import ExportError
from ..graphs.builder import GraphBuilder
from .types import WIDEST, constant_grid, fixed_type, reaching, width

THRESHOLDS = "SsmqThresholds"
# The factor 1 or the offset 0 that hls4ml puts beside every constant.
_NEUTRAL = "fixed<2,2>"


class HlsWriter:
    """``types``: node name -> {"result", "weight", "accum", "scale", "bias", "threshold"} -> hls4ml type."""

    def __init__(self) -> None:
        self.builder = GraphBuilder(1, np.float64)
        self.types: dict[str, dict[str, str]] = {}
        self._of: dict[str, dict[str, str]] = {}  # the same types by output

    def input(self, name: str, grid: Grid) -> None:
        self.builder.input(name, grid.channels)
        self.types[name] = self._of[name] = {"result": fixed_type(grid)}

    def node(self, op: str, inputs: list[str], output: str, grid: Grid, types: dict[str, str], **attributes) -> None:
        """Append a node; ``types`` are those of its parameters, its result's follows from ``grid``."""
        result = fixed_type(grid)
        if width(result) > WIDEST:
            raise ExportError(
                f"{output}: an exact result needs {width(result)} bits, more than the {WIDEST} that can be compared "
                f"with a float graph: narrow the tensors that feed it"
            )
        domain = QONNX_DOMAIN if op == "Quant" else ""
        self.builder.node(op, inputs, output, grid.channels, domain, **attributes)
        self.types[f"{op}_{output}"] = self._of[output] = {"result": result, **types}

    def matmul(self, source: str, weight: np.ndarray, output: str, grid: Grid) -> None:
        types = {"weight": fixed_type(constant_grid(weight)), "bias": _NEUTRAL, "accum": fixed_type(grid)}
        self.node("MatMul", [source, self.builder.constant(f"{output}_weight", weight)], output, grid, types)

    def with_constant(self, op: str, source: str, values: np.ndarray, output: str, grid: Grid) -> None:
        """Mul, Add or Sub of a tensor and a constant, as hls4ml computes them: one factor and one offset a channel."""
        values = spread(values, grid.channels)
        parameter, neutral = ("scale", "bias") if op == "Mul" else ("bias", "scale")
        # hls4ml subtracts a constant by adding its negative.
        stored = -values if op == "Sub" else values
        types = {parameter: fixed_type(constant_grid(stored)), neutral: _NEUTRAL}
        self.node(op, [source, self.builder.constant(f"{output}_constant", values)], output, grid, types)

    def clip(self, source: str, source_grid: Grid, low: np.ndarray, high: np.ndarray, output: str, grid: Grid) -> None:
        """clip(x, low, high) = low + relu(x - low) - relu(x - high); hls4ml has no Clip."""
        parts = []
        for name, bound in ((f"{output}_above_low", low), (f"{output}_above_high", high)):
            limit = constant_grid(spread(bound, grid.channels))
            finest = np.minimum(source_grid.exponent, limit.exponent)
            moved = total(source_grid.shifted(finest), limit.shifted(finest), -1)
            values = np.ldexp(limit.low.astype(np.float64), limit.exponent)
            self.with_constant("Sub", source, values, f"{name}_moved", moved)
            positive = Grid(moved.exponent, np.maximum(moved.low, 0), np.maximum(moved.high, 0))
            self.node("Relu", [f"{name}_moved"], name, positive, {})
            parts.append((name, positive))
        (first, left), (second, right) = parts
        finest = np.minimum(left.exponent, right.exponent)
        between = total(left.shifted(finest), right.shifted(finest), -1)
        self.node("Sub", [first, second], f"{output}_between", between, {})
        self.with_constant("Add", f"{output}_between", low, output, grid)

    def quant(self, source: str, source_grid: Grid, output: str, fmt: Format, attributes: dict) -> None:
        """A Quant; hls4ml has one type a tensor, so exponents a channel are shifted away before it and back after."""
        channels = source_grid.channels
        exponent = np.broadcast_to(fmt.exponent, (channels,))
        if np.all(exponent == exponent[0]):
            self._quant(source, output, uniform(channels, exponent, fmt.low, fmt.high), fmt, attributes)
            return
        scaled = Grid(source_grid.exponent - exponent, source_grid.low, source_grid.high)
        self.with_constant("Mul", source, np.ldexp(1.0, -exponent), f"{output}_scaled", scaled)
        self._quant(f"{output}_scaled", f"{output}_codes", uniform(channels, 0, fmt.low, fmt.high), fmt, attributes)
        result = uniform(channels, exponent, fmt.low, fmt.high)
        self.with_constant("Mul", f"{output}_codes", np.ldexp(1.0, exponent), output, result)

    def _quant(self, source: str, output: str, grid: Grid, fmt: Format, attributes: dict) -> None:
        inputs = [
            source,
            self.builder.constant(f"{output}_scale", 2.0 ** float(grid.exponent[0])),
            self.builder.constant(f"{output}_zero_point", 0.0),
            self.builder.constant(f"{output}_bits", float(fmt.bits)),
        ]
        # ap_fixed rounds by the bit below the result's last place, which the source must have however small it is.
        self._of[source]["result"] = reaching(self._of[source]["result"], int(grid.exponent[0]) - 1)
        self.node("Quant", inputs, output, grid, {}, **attributes)

    def thresholds(self, source: str, values: np.ndarray, lowest: int, output: str, grid: Grid) -> None:
        """A threshold layer (see ``layer``); ``values`` ``(channels, n)`` rise along each row."""
        attribute = onnx.numpy_helper.from_array(values, f"{output}_thresholds")
        types = {"threshold": fixed_type(constant_grid(values))}
        self.node(THRESHOLDS, [source], output, grid, types, thresholds=attribute, lowest=lowest)

    def model(self, outputs: list[tuple[str, int]]) -> onnx.ModelProto:
        """The graph with ``outputs`` (name, channels), without nodes on which none of them depends."""
        for name, channels in outputs:
            self.builder.output(name, channels)
        model = self.builder.model("step", {})
        _keep(model.graph, {name for name, _ in outputs})
        for tensor in model.graph.initializer:
            # hls4ml wants the shape of every operand declared, constants included.
            shape = onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
            model.graph.value_info.append(shape)
        return model


def spread(values: np.ndarray, channels: int) -> np.ndarray:
    """One value a channel, ``(channels,)``: hls4ml's C++ does not broadcast."""
    return np.broadcast_to(np.asarray(values, np.float64).reshape(-1), (channels,)).copy()


def _keep(graph: onnx.GraphProto, wanted: set[str]) -> None:
    kept = []
    for node in reversed(graph.node):
        if node.output[0] in wanted:
            kept.append(node)
            wanted = wanted | set(node.input)
    constants = [tensor for tensor in graph.initializer if tensor.name in wanted]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(reversed(kept))
    graph.initializer.extend(constants)
