"""The step graph of a network: one time step, states and running sums in and out, for qonnx, hls4ml and FINN.

The recurrence is written out as matrices and real products. Every parameter passes through a Quant of its own; no Quant
serves two consumers. Tensors have the names of the network's submodules.

1. A linear layer is a MatMul and an Add; a slice of its result is a layer of fewer outputs.
2. Channels of codes are taken and put side by side by MatMuls with matrices of 0 and 1.
3. A sum over time is a state that starts at 0.
4. What follows the last step only is computed in every step; what counts is said by the output port.
5. Limits of a function that the Quant behind it keeps to anyway are left to it: a ReLU before an unsigned one is no node.
"""

from __future__ import annotations

import json
import math

import numpy as np
import onnx
from onnx import helper

from ..dataflow import ports
from ..dataflow.format import Format
from ..dataflow.keys import FORM_KEY, FORMATS_KEY, LENGTH_KEY, PORTS_KEY
from ..lowering.formats import exact_formats
from .blocks import gather, row, spread
from .builder import GraphBuilder
from .network_spec import Affine, Call, Function, Given, NetworkSpec, Recurrence, Select, Total
from .spec import Constant, Linear

# Signed two bits hold 0 and 1: what is selected goes through unchanged.
SELECTING = Format(2, True, np.array(0))


def network_graph(spec: NetworkSpec, batch: int = 1) -> onnx.ModelProto:
    """Write the step of ``spec`` for a fixed ``batch``."""
    return _Writer(spec, batch).model()


class _Writer:
    def __init__(self, spec: NetworkSpec, batch: int):
        self.spec, self.g = spec, GraphBuilder(batch, spec.dtype)
        self.calls = {call.name: call for call in spec.calls}
        self.kept: list[ports.KeptEntry] = []
        self.tensors: dict[str, str] = {}

    def model(self) -> onnx.ModelProto:
        given, output = self.spec.calls[0], self.spec.calls[-1]
        self._declare()
        for call in self.spec.calls[:-1]:
            if not self._only_sliced(call):
                self.tensors[call.name] = self._write(call)
        result = self.tensors[output.inputs[0]]
        self.g.output(result, output.channels)
        for port in self.kept:
            self.g.output(port.successor, math.prod(port.shape))
        entries = [ports.input_port(given.name, given.channels), *self.kept]
        entries.append(ports.output_port(result, output.channels, output.each_step))
        metadata = {
            FORM_KEY: "step",
            LENGTH_KEY: str(self.spec.length),
            PORTS_KEY: ports.written(entries),
            **self.spec.metadata,
        }
        model = self.g.model("step", metadata)
        formats = {**exact_formats(model), **self.g.formats}
        helper.set_model_props(model, {**metadata, FORMATS_KEY: json.dumps(formats)})
        return model

    def _declare(self) -> None:
        """Ports before nodes: the input, then what is kept."""
        given = self.spec.calls[0]
        self.g.input(given.name, given.channels)
        for call in self.spec.calls:
            if isinstance(call.does, Recurrence):
                shape = call.does.a[0].values.shape
                for part in ports.PARTS:
                    name = f"{call.name}.x_{part}"
                    self.kept.append(ports.state_port(name, f"{name}_next", shape, call.name, part))
            elif isinstance(call.does, Total):
                name = f"{call.name}.kept"
                self.kept.append(ports.sum_port(name, call.name, call.channels))
        for port in self.kept:
            self.g.input(port.name, math.prod(port.shape))

    def _only_sliced(self, call: Call) -> bool:
        """Whether only slices read a linear layer: each is then a layer of its own."""
        read = [reader for reader in self.spec.calls if call.name in reader.inputs]
        return isinstance(call.does, Linear) and bool(read) and all(isinstance(reader.does, Select) for reader in read)

    def _write(self, call: Call) -> str:
        given = [self.tensors.get(name, name) for name in call.inputs]
        match call.does:
            case Format() as fmt:
                return self.g.quant(given[0], call.name, fmt, call.channels)
            case Linear() as linear:
                return self._layer(call.name, given[0], linear)
            case Recurrence() as layer:
                return self._recurrence(call.name, given[0], layer)
            case Function() as function:
                return getattr(self, f"_{function.name}")(call.name, given[0], function, call.channels)
            case Select() as select:
                return self._select(call, given[0], select)
            case Affine() as affine:
                return self._affine(call, given[0], affine)
            case Constant() as factor:
                return self.g.node("Mul", [given[0], self.g.weight(f"{call.name}.gain", factor)], call.name, call.channels)
            case Given() as codes:
                self.g.note_format(call.name, codes.format)
                return call.name
            case Total() as total:
                return self._total(call, given[0], total)
            case word:
                return getattr(self, f"_{word}")(call, given)

    def _idle(self, name: str, low: float, high: float) -> bool:
        """Whether the one reader of a tensor is a quantiser whose codes lie inside these limits."""
        read = [call.does for call in self.spec.calls if name in call.inputs]
        if len(read) != 1 or not isinstance(read[0], Format):
            return False
        fmt, scale = read[0], np.ldexp(1.0, read[0].exponent)
        return bool(np.all(np.rint(low / scale) <= fmt.low) and np.all(np.rint(high / scale) >= fmt.high))

    def _layer(self, name: str, source: str, linear: Linear) -> str:
        outputs = linear.weight.values.shape[1]
        result = name if linear.bias is None else f"{name}.product"
        product = self.g.node("MatMul", [source, self.g.weight(f"{name}.weight", linear.weight)], result, outputs)
        if linear.bias is None:
            return product
        bias = Constant(linear.bias.values[None], linear.bias.format)
        return self.g.node("Add", [product, self.g.weight(f"{name}.bias", bias)], name, outputs)

    def _select(self, call: Call, given: str, select: Select) -> str:
        source, first = self.calls[call.inputs[0]], select.first
        if isinstance(source.does, Linear) and self._only_sliced(source):
            feeding = self.tensors.get(source.inputs[0], source.inputs[0])
            return self._layer(call.name, feeding, source.does.part(first, first + call.channels))
        matrix = np.eye(source.channels)[:, first : first + call.channels]
        return self.g.node("MatMul", [given, self._chosen(f"{call.name}.channels", matrix)], call.name, call.channels)

    def _cat(self, call: Call, given: list[str]) -> str:
        """Each part moved to its channels, and their sum."""
        sizes = [self.calls[name].channels for name in call.inputs]
        starts = np.cumsum([0, *sizes[:-1]])
        total = ""
        for k, (source, size, start) in enumerate(zip(given, sizes, starts, strict=True)):
            matrix = np.eye(call.channels)[start : start + size]
            chosen = self._chosen(f"{call.name}.channels_{k}", matrix)
            moved = self.g.node("MatMul", [source, chosen], f"{call.name}.part_{k}", call.channels)
            result = call.name if k == len(given) - 1 else f"{call.name}.sum_{k}"
            total = self.g.node("Add", [total, moved], result, call.channels) if total else moved
        return total

    def _chosen(self, name: str, matrix: np.ndarray) -> str:
        return self.g.weight(name, Constant(matrix, SELECTING))

    def _add(self, call: Call, given: list[str]) -> str:
        return self._joined("Add", call, given)

    def _sub(self, call: Call, given: list[str]) -> str:
        return self._joined("Sub", call, given)

    def _mul(self, call: Call, given: list[str]) -> str:
        return self._joined("Mul", call, given)

    def _joined(self, operator: str, call: Call, given: list[str]) -> str:
        left, right = given
        if left == right:  # FINN has no operator that reads one stream twice
            one = self.g.weight(f"{call.name}.one", Constant(np.asarray(1.0), SELECTING))
            right = self.g.node("Mul", [left, one], f"{call.name}.copy", call.channels)
        return self.g.node(operator, [left, right], call.name, call.channels)

    def _total(self, call: Call, given: str, total: Total) -> str:
        for name in (f"{call.name}.kept", call.name):
            self.g.note_format(name, total.format)
        return self.g.node("Add", [f"{call.name}.kept", given], call.name, call.channels)

    def _affine(self, call: Call, given: str, affine: Affine) -> str:
        gain, offset = np.asarray(affine.gain), np.asarray(affine.offset)
        shifted = bool(np.any(offset != 0))
        result = given
        if np.any(gain != 1) or not shifted:
            constant = self.g.constant(f"{call.name}.gain", gain[None] if gain.ndim else gain)
            result = self.g.node("Mul", [result, constant], f"{call.name}.scaled" if shifted else call.name, call.channels)
        if shifted:
            constant = self.g.constant(f"{call.name}.offset", offset[None] if offset.ndim else offset)
            result = self.g.node("Add", [result, constant], call.name, call.channels)
        return result

    def _relu(self, name: str, source: str, function: Function, channels: int) -> str:
        return source if self._idle(name, 0.0, np.inf) else self.g.node("Relu", [source], name, channels)

    def _clip(self, name: str, source: str, function: Function, channels: int) -> str:
        widest = np.finfo(self.g.dtype).max
        low, high = np.clip(function.numbers, -widest, widest).astype(self.g.dtype)
        if self._idle(name, low, high):
            return source
        limits = [self.g.constant(f"{name}.low", low), self.g.constant(f"{name}.high", high)]
        return self.g.node("Clip", [source, *limits], name, channels)

    def _hard_sigmoid(self, name: str, source: str, function: Function, channels: int) -> str:
        (slope,) = function.numbers
        line = self.g.node("Mul", [source, self.g.constant(f"{name}.slope", slope)], f"{name}.line", channels)
        line = self.g.node("Add", [line, self.g.constant(f"{name}.half", 0.5)], f"{name}.shifted", channels)
        return self._clip(name, line, Function("clip", (0.0, 1.0)), channels)

    def _hard_gelu(self, name: str, source: str, function: Function, channels: int) -> str:
        gate = self._hard_sigmoid(f"{name}.gate", source, function, channels)
        return self.g.node("Mul", [source, gate], name, channels)

    def _quotient(self, name: str, source: str, function: Function, channels: int) -> str:
        (divisor,) = function.numbers
        return self.g.node("Div", [source, self.g.constant(f"{name}.divisor", divisor)], name, channels)

    def _sigmoid(self, name: str, source: str, function: Function, channels: int) -> str:
        return self.g.in_double("Sigmoid", source, name, channels)

    def _tanh(self, name: str, source: str, function: Function, channels: int) -> str:
        return self.g.in_double("Tanh", source, name, channels)

    def _table(self, name: str, source: str, function: Function, channels: int) -> str:
        assert function.table is not None
        exponent, low = function.numbers
        per_one = self.g.constant(f"{name}.codes_per_one", np.ldexp(1.0, -int(exponent)))
        codes = self.g.node("Mul", [source, per_one], f"{name}.code", channels)
        place = self.g.node("Sub", [codes, self.g.constant(f"{name}.lowest", low)], f"{name}.place", channels)
        return self.g.looked_up(function.table, place, name, channels)

    def _recurrence(self, name: str, u: str, layer: Recurrence) -> str:
        g = self.g
        heads, modes = layer.a[0].values.shape
        channels = heads * modes
        exponent = np.asarray(layer.state.exponent)
        if exponent.size > 1:
            exponent = np.broadcast_to(exponent, (heads, modes)).reshape(-1)
        state = Format(layer.state.bits, True, exponent)
        x_re, x_im = f"{name}.x_re", f"{name}.x_im"
        for port in (x_re, x_im):
            g.note_format(port, state)

        def product(x: str, short: str, constant: Constant) -> str:
            return g.node("Mul", [x, g.weight(f"{name}.{short}_weight", row(constant))], f"{name}.{short}", channels)

        def matrix(source: str, short: str, constant: Constant, outputs: int, weight: str) -> str:
            return g.node("MatMul", [source, g.weight(f"{name}.{weight}", constant)], f"{name}.{short}", outputs)

        (a_re, a_im), (b_re, b_im), (c_re, c_im) = layer.a, layer.b, layer.c
        re = g.node("Sub", [product(x_re, "a_re_x_re", a_re), product(x_im, "a_im_x_im", a_im)], f"{name}.ax_re", channels)
        im = g.node("Add", [product(x_im, "a_re_x_im", a_re), product(x_re, "a_im_x_re", a_im)], f"{name}.ax_im", channels)
        bu_re = matrix(u, "bu_re", spread(b_re), channels, "b_re")
        bu_im = matrix(u, "bu_im", spread(b_im), channels, "b_im")
        re = g.quant(g.node("Add", [re, bu_re], f"{name}.sum_re", channels), f"{x_re}_next", state, channels)
        im = g.quant(g.node("Add", [im, bu_im], f"{name}.sum_im", channels), f"{x_im}_next", state, channels)
        cx_re = matrix(re, "cx_re", gather(c_re), heads, "c_re")
        cx_im = matrix(im, "cx_im", gather(c_im), heads, "c_im")
        cx = g.node("Sub", [cx_re, cx_im], f"{name}.cx", heads)
        du = g.node("Mul", [u, g.weight(f"{name}.d", row(layer.d))], f"{name}.du", heads)
        return g.node("Add", [cx, du], name, heads)
