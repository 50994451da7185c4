"""The step graph: one time step as QONNX, the states as ports.

Every tensor is ``(batch, channels)``; ``u`` has one channel an input of the model, a layer's state H·N, head by head. B̄
spreads a head's input over its modes and C gathers them as block-structured MatMuls, so that the graph uses only operators that qonnx, hls4ml and
FINN know. No weight Quant feeds two consumers.

    u, x_re_k, x_im_k, pool  ->  logits, x_re_next_k, x_im_next_k, pool_next

Without ``pool`` where the logits of every step count.
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
from .spec import Constant, Layer, Linear, ModelSpec


def step_graph(spec: ModelSpec, batch: int = 1) -> onnx.ModelProto:
    """Write the step of ``spec`` for a fixed ``batch``."""
    g = GraphBuilder(batch, spec.dtype)
    channels = spec.heads * spec.modes
    given = g.input("u", spec.channels)
    g.note_format("u", spec.input)
    for k in range(len(spec.layers)):
        g.input(f"x_re_{k}", channels)
        g.input(f"x_im_{k}", channels)
    if not spec.each_step:
        g.input("pool", spec.heads)
    given = g.quant(given, "input", spec.quantizers["input"], spec.channels)
    u = g.quant(_linear(g, given, "encoder", spec.encoder), "u_0", spec.quantizers["u"], spec.heads)
    for k, layer in enumerate(spec.layers):
        u = _layer(g, u, k, layer, spec)
    read = u if spec.each_step else _pooled(g, u, spec)
    g.output(_linear(g, read, "logits", spec.decoder, "logits"), spec.classes)
    for k in range(len(spec.layers)):
        g.output(f"x_re_next_{k}", channels)
        g.output(f"x_im_next_{k}", channels)
    if not spec.each_step:
        g.output("pool_next", spec.heads)
    metadata = {
        FORM_KEY: "step",
        LENGTH_KEY: str(spec.length),
        PORTS_KEY: ports.written(_ports(spec)),
        **spec.metadata,
    }
    model = g.model("step", metadata)
    formats = {**exact_formats(model), **g.formats}
    helper.set_model_props(model, {**metadata, FORMATS_KEY: json.dumps(formats)})
    return model


def _pooled(g: GraphBuilder, u: str, spec: ModelSpec) -> str:
    pool = g.node("Add", ["pool", u], "pool_next", spec.heads)
    last = spec.layers[-1].quantizers["u"]
    sum_format = Format(last.bits + math.ceil(math.log2(spec.length)), True, last.exponent)
    g.note_format("pool", sum_format)
    g.note_format("pool_next", sum_format)
    scaled = g.node("Mul", [pool, g.constant("pool_scale", 2.0**spec.pool_exponent)], "pool_scaled", spec.heads)
    return g.quant(scaled, "pooled", spec.quantizers["pool"], spec.heads)


def _ports(spec: ModelSpec) -> list[ports.PortEntry]:
    states = [
        ports.state_port(f"x_{part}_{k}", f"x_{part}_next_{k}", (spec.heads, spec.modes), f"layer_{k}", part)
        for k in range(len(spec.layers))
        for part in ("re", "im")
    ]
    pool = [] if spec.each_step else [ports.sum_port("pool", "pool_next", spec.heads)]
    output = ports.output_port("logits", spec.classes, spec.each_step)
    return [ports.input_port("u", spec.channels), *states, *pool, output]


def _linear(g: GraphBuilder, source: str, name: str, linear: Linear, output: str | None = None) -> str:
    outputs = linear.weight.values.shape[1]
    product = g.node("MatMul", [source, g.weight(f"{name}_weight", linear.weight)], f"{name}_product", outputs)
    bias = Constant(linear.bias.values[None], linear.bias.format)
    result = g.node("Add", [product, g.weight(f"{name}_bias", bias)], output or f"{name}_sum", outputs)
    exponent = np.minimum(linear.bias.format.exponent, _exponent(g, source) + linear.weight.format.exponent)
    if output:
        g.note_format(result, Format(32, True, exponent))
    return result


def _exponent(g: GraphBuilder, tensor: str) -> np.ndarray:
    return np.asarray(g.formats[tensor]["exponent"])


def _layer(g: GraphBuilder, u: str, k: int, layer: Layer, spec: ModelSpec) -> str:
    heads = spec.heads
    y = _recurrence(g, u, k, layer, spec)
    if layer.norm is not None:
        gain, offset = layer.norm
        y = g.node("Mul", [y, g.constant(f"norm_gain_{k}", gain[None])], f"norm_scaled_{k}", heads)
        y = g.node("Add", [y, g.constant(f"norm_offset_{k}", offset[None])], f"norm_{k}", heads)
    if "y" in layer.quantizers:
        y = g.quant(y, f"y_{k}", layer.quantizers["y"], heads)
    y = _activation(g, y, k, layer, heads)
    mixed = g.quant(y, f"mix_in_{k}", layer.quantizers["mix_in"], heads)
    if layer.gate == "none":
        mixed = _linear(g, mixed, f"mix_{k}", layer.linear)
    else:
        value = _linear(g, mixed, f"value_{k}", layer.linear.part(0, heads))
        value = g.quant(value, f"value_{k}", layer.quantizers["value"], heads)
        gate = _linear(g, mixed, f"gate_{k}", layer.linear.part(heads, 2 * heads))
        gate = g.quant(_gate(g, gate, k, layer.gate, heads), f"gate_{k}", layer.quantizers["gate"], heads)
        mixed = g.node("Mul", [value, gate], f"gated_{k}", heads)
    return g.quant(g.node("Add", [u, mixed], f"residual_{k}", heads), f"u_{k + 1}", layer.quantizers["u"], heads)


def _recurrence(g: GraphBuilder, u: str, k: int, layer: Layer, spec: ModelSpec) -> str:
    heads, modes = spec.heads, spec.modes
    channels = heads * modes
    state_exponent = np.asarray(layer.state.exponent)
    if state_exponent.size > 1:
        state_exponent = np.broadcast_to(state_exponent, (heads, modes)).reshape(-1)
    state = Format(layer.state.bits, True, state_exponent)
    (a_re, a_im), (b_re, b_im), (c_re, c_im) = layer.a, layer.b, layer.c
    x_re, x_im = f"x_re_{k}", f"x_im_{k}"
    for port in (x_re, x_im):
        g.note_format(port, state)

    def product(x: str, name: str, constant: Constant) -> str:
        return g.node("Mul", [x, g.weight(f"{name}_weight", row(constant))], name, channels)

    re = g.node("Sub", [product(x_re, f"a_re_x_re_{k}", a_re), product(x_im, f"a_im_x_im_{k}", a_im)], f"ax_re_{k}", channels)
    im = g.node("Add", [product(x_im, f"a_re_x_im_{k}", a_re), product(x_re, f"a_im_x_re_{k}", a_im)], f"ax_im_{k}", channels)
    bu_re = g.node("MatMul", [u, g.weight(f"b_re_{k}", spread(b_re))], f"bu_re_{k}", channels)
    bu_im = g.node("MatMul", [u, g.weight(f"b_im_{k}", spread(b_im))], f"bu_im_{k}", channels)
    re = g.quant(g.node("Add", [re, bu_re], f"sum_re_{k}", channels), f"x_re_next_{k}", state, channels)
    im = g.quant(g.node("Add", [im, bu_im], f"sum_im_{k}", channels), f"x_im_next_{k}", state, channels)
    cx_re = g.node("MatMul", [re, g.weight(f"c_re_{k}", gather(c_re))], f"cx_re_{k}", heads)
    cx_im = g.node("MatMul", [im, g.weight(f"c_im_{k}", gather(c_im))], f"cx_im_{k}", heads)
    cx = g.node("Sub", [cx_re, cx_im], f"cx_{k}", heads)
    du = g.node("Mul", [u, g.weight(f"d_{k}", row(layer.d))], f"du_{k}", heads)
    return g.node("Add", [cx, du], f"y_exact_{k}", heads)


def _activation(g: GraphBuilder, y: str, k: int, layer: Layer, heads: int) -> str:
    if layer.activation == "relu":
        return y  # the unsigned quantiser that follows starts at 0
    if layer.activation == "hard_gelu":
        line = g.node("Mul", [y, g.constant(f"gelu_slope_{k}", 0.375)], f"gelu_line_{k}", heads)
        line = g.node("Add", [line, g.constant(f"gelu_half_{k}", 0.5)], f"gelu_shifted_{k}", heads)
        limits = [g.constant(f"gelu_zero_{k}", 0.0), g.constant(f"gelu_one_{k}", 1.0)]
        gate = g.node("Clip", [line, *limits], f"gelu_gate_{k}", heads)
        return g.node("Mul", [y, gate], f"gelu_{k}", heads)
    fmt = layer.quantizers["y"]
    codes = g.node("Mul", [y, g.constant(f"gelu_codes_per_one_{k}", np.ldexp(1.0, -fmt.exponent))], f"gelu_code_{k}", heads)
    place = g.node("Sub", [codes, g.constant(f"gelu_lowest_{k}", fmt.low)], f"gelu_place_{k}", heads)
    return g.looked_up(layer.table, place, f"gelu_{k}", heads)


def _gate(g: GraphBuilder, x: str, k: int, kind: str, heads: int) -> str:
    if kind == "hard_sigmoid":
        # Clipping to 0 and 1 is what the unsigned quantiser that follows does.
        line = g.node("Mul", [x, g.constant(f"gate_slope_{k}", 0.25)], f"gate_line_{k}", heads)
        return g.node("Add", [line, g.constant(f"gate_half_{k}", 0.5)], f"gate_shifted_{k}", heads)
    return g.in_double("Sigmoid", x, f"gate_sigmoid_{k}", heads)
