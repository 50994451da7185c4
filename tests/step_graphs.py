"""Step graphs of other shapes than the classifier's, and the values of their tensors by NumPy alone.

    net = Network(codes, fmt(12, -9), length=10)
    a, b = net.s4d("u_q", "left", 2), net.s4d("u_q", "right", 3)
    net.output(net.add(a, b), each_step=True)

Every method writes nodes and computes, in float64 and over whole sequences, what they mean; it returns the tensor's name.
"""

from __future__ import annotations

import json
import math

import numpy as np
import onnx
from onnx import helper
from ssmq_export.dataflow import ports
from ssmq_export.dataflow.format import Format
from ssmq_export.dataflow.keys import FORM_KEY, FORMATS_KEY, LENGTH_KEY, PORTS_KEY
from ssmq_export.graphs.blocks import gather, row, spread
from ssmq_export.graphs.builder import GraphBuilder
from ssmq_export.graphs.spec import Constant
from ssmq_export.lowering.formats import exact_formats


def fmt(bits: int, exponent=0, signed: bool = True) -> Format:
    return Format(bits, signed, np.asarray(exponent, np.int64))


_FUNCTIONS = {
    "Mul": np.multiply,
    "Add": np.add,
    "Sub": np.subtract,
    "Div": np.divide,
    "Neg": np.negative,
    "Clip": np.clip,
    "Tanh": np.tanh,
    "Sigmoid": lambda x: 1 / (1 + np.exp(-x)),
}


def drawn_codes(format: Format, channels: int, sequences: int = 4, length: int = 12, seed: int = 0) -> np.ndarray:
    """Noise, the lowest and the highest code."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(format.low, format.high + 1, (sequences, length, channels))
    codes[0], codes[1] = format.low, format.high
    return codes


class Network:
    """``values``: tensor -> float64 ``(B, T, channels)``. The input is ``u``; parameters are drawn."""

    def __init__(self, codes: np.ndarray, format: Format, double: bool = False, seed: int = 0):
        self.codes, self.rng = codes, np.random.default_rng(seed)
        self.g = GraphBuilder(1, np.float64 if double else np.float32)
        channels = codes.shape[2]
        self.g.input("u", channels)
        self.g.note_format("u", format)
        self.ports = [ports.input_port("u", channels)]
        self.values = {"u": np.ldexp(codes.astype(np.float64), format.exponent)}
        self.successors: list[tuple[str, int]] = []

    def channels(self, name: str) -> int:
        return self.values[name].shape[2]

    def node(self, op: str, inputs: list[str], name: str, values: np.ndarray) -> str:
        self.values[name] = values
        return self.g.node(op, inputs, name, values.shape[2])

    def constant(self, name: str, values) -> str:
        return self.g.constant(name, values)

    def parameter(self, shape: tuple[int, ...], bits: int, exponent) -> Constant:
        top = 1 << (bits - 1)
        codes = self.rng.integers(-top, top, shape).astype(np.float64)
        return Constant(np.ldexp(codes, exponent), fmt(bits, exponent))

    def quant(self, source: str, format: Format, name: str) -> str:
        scaled = np.ldexp(self.values[source], -np.asarray(format.exponent))
        rounded = np.clip(np.rint(scaled), format.low, format.high)
        self.values[name] = np.ldexp(rounded, format.exponent)
        return self.g.quant(source, name, format, self.channels(source))

    def add(self, left: str, right: str, name: str, op: str = "Add") -> str:
        sides = (self.values[side].astype(self.g.dtype) for side in (left, right))
        return self.node(op, [left, right], name, _FUNCTIONS[op](*sides).astype(np.float64))

    def function(self, op: str, source: str, name: str, *constants, first: bool = False) -> str:
        """``op`` of ``source`` and float ``constants``, in the graph's own float type; ``first``: they stand before it."""
        held = [np.asarray(value, self.g.dtype) for value in constants]
        names = [self.g.constant(f"{name}_{k}", value) for k, value in enumerate(held)]
        x = self.values[source].astype(self.g.dtype)
        result = _FUNCTIONS[op](*((*held, x) if first else (x, *held)))
        assert result.dtype == self.g.dtype
        return self.node(op, [*names, source] if first else [source, *names], name, result.astype(np.float64))

    def in_double(self, op: str, source: str, name: str) -> str:
        """``op`` in double precision, whatever the graph's float type."""
        self.values[name] = _FUNCTIONS[op](self.values[source]).astype(self.g.dtype).astype(np.float64)
        return self.g.in_double(op, source, name, self.channels(source))

    def matmul(self, source: str, weight: Constant, name: str) -> str:
        return self.node("MatMul", [source, self.g.weight(f"{name}_weight", weight)], name, self.values[source] @ weight.values)

    def linear(self, source: str, outputs: int, name: str, bits: int = 4) -> str:
        product = self.matmul(source, self.parameter((self.channels(source), outputs), bits, -3), f"{name}_product")
        bias = self.parameter((1, outputs), 8, -6)
        return self.node("Add", [product, self.g.weight(f"{name}_bias", bias)], name, self.values[product] + bias.values)

    def select(self, source: str, columns: list[int], name: str, outputs: int | None = None) -> str:
        """Column ``columns[k]`` of ``source`` as channel k of the first; a slice, or a part of a concatenation."""
        matrix = np.zeros((self.channels(source), outputs or len(columns)))
        matrix[columns, np.arange(len(columns))] = 1
        return self.matmul(source, Constant(matrix, fmt(2)), name)

    def joined(self, left: str, right: str, name: str) -> str:
        """The channels of both, those of ``left`` first."""
        first, second = self.channels(left), self.channels(right)
        sides = np.eye(first, first + second), np.eye(second, first + second, first)
        parts = [
            self.matmul(one, Constant(side, fmt(2)), f"{name}_{k}")
            for k, (one, side) in enumerate(zip((left, right), sides, strict=True))
        ]
        return self.add(*parts, name)

    def sum(self, source: str, name: str) -> str:
        """A running sum over time."""
        channels, length = self.channels(source), self.codes.shape[1]
        bits, exponent = self.g.formats[source]["bits"], self.g.formats[source]["exponent"]
        self.g.input(name, channels)
        after = self.node("Add", [name, source], f"{name}_next", np.cumsum(self.values[source], axis=1))
        for tensor in (name, after):
            self.g.note_format(tensor, fmt(bits + math.ceil(math.log2(length)) + 1, exponent))
        self.ports.append(ports.sum_port(name, after, channels))
        self.successors.append((after, channels))
        return after

    def s4d(self, source: str, name: str, modes: int, state: Format | None = None) -> str:
        """``y``, exact, of a layer with a head a channel of ``source``."""
        heads = self.channels(source)
        state = state or fmt(8, -5)
        a_re, a_im, c_re, c_im = (self.parameter((heads, modes), bits, 1 - bits) for bits in (7, 7, 5, 5))
        a_re, a_im = (Constant(np.ldexp(a.values, -1), fmt(8, -7)) for a in (a_re, a_im))
        b_re, b_im = (self.parameter((heads, modes), 4, -3) for _ in range(2))
        d = self.parameter((heads,), 4, -2)
        x_re, x_im = f"{name}.x_re", f"{name}.x_im"
        u = self.values[source]
        self._states(u, (x_re, x_im), state, a_re.values, a_im.values, b_re.values, b_im.values)
        for port, part in ((x_re, "re"), (x_im, "im")):
            self.g.input(port, heads * modes)
            self.g.note_format(port, state)
            self.ports.append(ports.state_port(port, f"{port}_next", (heads, modes), name, part))
            self.successors.append((f"{port}_next", heads * modes))

        def times(x: str, constant: Constant, what: str) -> str:
            weight = self.g.weight(f"{name}.{what}_weight", row(constant))
            return self.g.node("Mul", [x, weight], f"{name}.{what}", heads * modes)

        re = self.g.node("Sub", [times(x_re, a_re, "rr"), times(x_im, a_im, "ii")], f"{name}.ax_re", heads * modes)
        im = self.g.node("Add", [times(x_im, a_re, "ri"), times(x_re, a_im, "ir")], f"{name}.ax_im", heads * modes)
        for part, ax, b, port in (("re", re, b_re, x_re), ("im", im, b_im, x_im)):
            driven = self.g.node(
                "MatMul", [source, self.g.weight(f"{name}.b_{part}", spread(b))], f"{name}.bu_{part}", heads * modes
            )
            total = self.g.node("Add", [ax, driven], f"{name}.sum_{part}", heads * modes)
            self.g.quant(total, f"{port}_next", state, heads * modes)
        read = {x_re: c_re, x_im: c_im}
        parts = [self.matmul(f"{port}_next", gather(c), f"{port}_read") for port, c in read.items()]
        cx = self.add(*parts, f"{name}.cx", "Sub")
        direct = self.node("Mul", [source, self.g.weight(f"{name}.d", row(d))], f"{name}.du", u * d.values)
        return self.add(cx, direct, f"{name}.y")

    def _states(self, u: np.ndarray, names: tuple[str, str], state: Format, a_re, a_im, b_re, b_im) -> None:
        """x(t) = round(a x(t - 1) + b u(t)), mode by mode, by complex numbers: every product here is exact in float64."""
        a, b = a_re + 1j * a_im, b_re + 1j * b_im
        exponent = np.broadcast_to(state.exponent, (a.size,)).reshape(a.shape)
        x, found = np.zeros((len(u), *a.shape), np.complex128), []
        for t in range(u.shape[1]):
            x = a * x + b * u[:, t, :, None]
            parts = (np.clip(np.rint(np.ldexp(part, -exponent)), state.low, state.high) for part in (x.real, x.imag))
            re, im = (np.ldexp(part, exponent) for part in parts)
            x = re + 1j * im
            found.append(x.reshape(len(u), -1))
        trace = np.stack(found, axis=1)
        for name, part in zip(names, (trace.real, trace.imag), strict=True):
            self.values[f"{name}_next"] = part

    def model(self, output: str, each_step: bool = False, batch: int = 1) -> onnx.ModelProto:
        """The step graph whose output is ``output``."""
        self.result, self.each_step = output, each_step
        self.g.output(output, self.channels(output))
        for name, channels in self.successors:
            self.g.output(name, channels)
        entries = [*self.ports, ports.output_port(output, self.channels(output), each_step)]
        metadata = {FORM_KEY: "step", LENGTH_KEY: str(self.codes.shape[1]), PORTS_KEY: ports.written(entries)}
        model = self.g.model("step", metadata)
        known = exact_formats(model)
        helper.set_model_props(model, {**metadata, FORMATS_KEY: json.dumps({**known, **self.g.formats})})
        return model

    @property
    def expected(self) -> dict[str, np.ndarray]:
        """The output as every engine gives it, and every quantised tensor."""
        output = self.values[self.result]
        quantized = {name: v for name, v in self.values.items() if name in self.g.formats and name != "u"}
        return {**quantized, self.result: output if self.each_step else output[:, -1]}
