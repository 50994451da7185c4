"""The quantisers of arXiv 2506.12480, as fake quantisation, for the reproduction of its tables only.

Outside the integer contract: scales are floats, ranges may be asymmetric or taken anew at every step, and what is not
quantised stays in float32. No graph is made of these models, and no engine but this one runs them.

    value = clamp(round(v / s), L, U) s      s = (max - min) / (2^bits - 1), L = round(min / s), U = L + 2^bits - 1
                                             symmetric: s = max|v| / (2^(bits-1) - 1), -L = U = 2^(bits-1) - 1

A range is that of the tensor or of each head; re and im share it. A static range covers 99.998 % of the calibration
samples (the 0.001 and 99.999 percentiles), that of a parameter all of it. A dynamic range belongs to one sequence: of a
state, the modes at one step; of another activation, its values over time. The authors do not say over what they take
theirs. States are clipped to ±50, as theirs are.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import torch
from numba import njit, prange
from pydantic import BaseModel, ConfigDict, Field
from ssmq_brevitas.config import Scheme
from ssmq_brevitas.model import Model, recurrences
from ssmq_brevitas.network.structure import META, quantized_of, structure
from ssmq_brevitas.post_training import calibrated
from ssmq_brevitas.s4d import S4D
from ssmq_jit import kernel
from torch import nn

COMPONENTS = ("a", "b", "c", "d", "x", "activations", "all")
PERCENTILE = 99.999
STATE_LIMIT = 50.0
_FLOAT, _STATIC, _EACH_HEAD, _WHOLE_TENSOR = range(4)


class PaperQuantization(BaseModel):
    """What is quantised and how; everything else stays in float. ``all`` takes the linear layers' weights along."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    component: Literal["a", "b", "c", "d", "x", "activations", "all"]
    bits: Annotated[int, Field(ge=2, le=16)]
    granularity: Literal["tensor", "head"] = "head"
    symmetric: bool = False
    dynamic: bool = False

    def covers(self, component: str) -> bool:
        return self.component in (component, "all")


def code_range(low: torch.Tensor, high: torch.Tensor, spec: PaperQuantization) -> tuple[torch.Tensor, ...]:
    """Scale, lowest and highest code for values between ``low`` and ``high``; 0 is always a code."""
    low, high = low.clamp(max=0), high.clamp(min=0)
    if spec.symmetric:
        top = torch.full_like(high, 2.0 ** (spec.bits - 1) - 1)
        return (torch.maximum(-low, high) / top).clamp(min=1e-30), -top, top
    scale = ((high - low) / (2.0**spec.bits - 1)).clamp(min=1e-30)
    lowest = (low / scale).round()
    return scale, lowest, lowest + 2.0**spec.bits - 1


def quantize(values: torch.Tensor, low: torch.Tensor, high: torch.Tensor, spec: PaperQuantization) -> torch.Tensor:
    scale, lowest, highest = code_range(low, high, spec)
    return torch.clamp((values / scale).round(), lowest, highest) * scale


def quantize_parameter(values: torch.Tensor, spec: PaperQuantization) -> torch.Tensor:
    """``values`` ``(H, ...)`` over its own range."""
    flat = values.reshape(len(values), -1) if spec.granularity == "head" else values.reshape(1, -1)
    low, high = flat.aminmax(dim=1, keepdim=True)
    return quantize(flat, low, high, spec).reshape(values.shape)


class ActivationQuantizer(nn.Module):
    """Of activations ``(B, ..., H)``. Passes and remembers its static range until ``active``, then quantises."""

    def __init__(self, spec: PaperQuantization):
        super().__init__()
        self.spec, self.active = spec, False

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        flat = values.reshape(len(values), -1, values.shape[-1])  # (B T H)
        over = (1,) if self.spec.granularity == "head" else (1, 2)
        if not self.active:
            samples = flat.flatten(0, 1).T if self.spec.granularity == "head" else flat.reshape(1, -1)
            limits = np.percentile(samples.numpy(), (100 - PERCENTILE, PERCENTILE), axis=1)
            self.low, self.high = (torch.from_numpy(limit).to(values.dtype) for limit in limits)
            return values
        low, high = (flat.amin(over, True), flat.amax(over, True)) if self.spec.dynamic else (self.low, self.high)
        return quantize(flat, low, high, self.spec).reshape(values.shape)


@kernel(parallel=True)
def _scan(u, a, b, c, d, kind, bits, symmetric, scales, lows, highs, y):
    """y_t = 2 Re(C x_t) + D u_t with x_t = Q(clip(Ā x_{t-1} + B̄ u_t)); parameters (2, H, N), u and y (B, T, H)."""
    heads, modes = a.shape[1], a.shape[2]
    limit = np.float32(STATE_LIMIT)
    for sample in prange(len(u)):
        x = np.zeros((2, heads, modes), np.float32)
        scale, low, high = scales.copy(), lows.copy(), highs.copy()
        for t in range(u.shape[1]):
            lowest, highest = np.float32(0), np.float32(0)
            for h in range(heads):
                if kind != _WHOLE_TENSOR:
                    lowest, highest = np.float32(0), np.float32(0)
                drive = u[sample, t, h]
                for n in range(modes):
                    re = a[0, h, n] * x[0, h, n] - a[1, h, n] * x[1, h, n] + b[0, h, n] * drive
                    im = a[0, h, n] * x[1, h, n] + a[1, h, n] * x[0, h, n] + b[1, h, n] * drive
                    re, im = min(max(re, -limit), limit), min(max(im, -limit), limit)
                    x[0, h, n], x[1, h, n] = re, im
                    lowest, highest = min(lowest, re, im), max(highest, re, im)
                if kind == _EACH_HEAD:
                    scale[h], low[h], high[h] = _range(lowest, highest, bits, symmetric)
            if kind == _WHOLE_TENSOR:
                scale[:], low[:], high[:] = _range(lowest, highest, bits, symmetric)
            for h in range(heads):
                total = np.float32(0)
                for n in range(modes):
                    if kind != _FLOAT:
                        for part in range(2):
                            code = np.rint(x[part, h, n] / scale[h])
                            x[part, h, n] = min(max(code, low[h]), high[h]) * scale[h]
                    total += c[0, h, n] * x[0, h, n] - c[1, h, n] * x[1, h, n]
                y[sample, t, h] = np.float32(2) * total + d[h] * u[sample, t, h]


@njit
def _range(low, high, bits, symmetric):
    """``code_range`` for one pair of numbers."""
    if symmetric:
        top = np.float32(2.0 ** (bits - 1) - 1)
        return max(np.float32(max(-low, high) / top), np.float32(1e-30)), -top, top
    codes = np.float32(2.0**bits - 1)
    scale = max(np.float32((high - low) / codes), np.float32(1e-30))
    lowest = np.float32(np.rint(low / scale))
    return scale, lowest, lowest + codes


class PaperS4D(nn.Module):
    """The recurrence with some of its tensors quantised; ``limits`` are the static ranges ``(2, H)`` of the states."""

    def __init__(self, s4d: S4D, limits: torch.Tensor | None, spec: PaperQuantization):
        super().__init__()
        self.spec = spec
        values = dict(zip("abc", (torch.view_as_real(value.detach()) for value in s4d.discrete()), strict=True))
        values["d"] = s4d.d.detach()
        for name, value in values.items():
            if spec.covers(name):
                values[name] = quantize_parameter(value, spec)
        self.parts = [values[name].movedim(-1, 0).float().contiguous().numpy() for name in "abc"]  # (2 H N)
        self.skip = values["d"].float().numpy()
        heads = len(self.skip)
        self.kind, codes = _FLOAT, [torch.zeros(heads)] * 3
        if spec.covers("x"):
            self.kind = _STATIC
            if spec.dynamic:
                self.kind = _EACH_HEAD if spec.granularity == "head" else _WHOLE_TENSOR
            assert limits is not None
            low, high = limits
            codes = [value.float().expand(heads) for value in code_range(low, high, spec)]
        self.codes = [value.contiguous().numpy() for value in codes]

    def forward(self, u: torch.Tensor) -> torch.Tensor:
        source = u.detach().float().contiguous().numpy()
        y = np.empty_like(source)
        _scan(source, *self.parts, self.skip, self.kind, self.spec.bits, self.spec.symmetric, *self.codes, y)
        return torch.from_numpy(y)


def paper_ptq(floating: Model, x_calibration: torch.Tensor, spec: PaperQuantization) -> Model:
    """``floating`` with ``spec`` applied, a model in evaluation mode. Pixels stay 8-bit codes."""
    found = calibrated(floating, x_calibration)
    network, _ = structure(floating.network, Scheme(), found.example, found.input_signed, found.input_format)
    quantizers = {place.path: ActivationQuantizer(spec) for place in quantized_of(network).places if place.role != "input"}
    for place in quantized_of(network).places:
        covered = place.path in quantizers and spec.covers("activations")
        network.set_submodule(place.path, quantizers[place.path] if covered else torch.nn.Identity())
    del network.meta[META]  # values are rounded, but on no grid of this package
    model = Model(network.requires_grad_(False), floating.config).eval()
    if spec.covers("activations"):
        model(x_calibration)
    for path, layer in recurrences(network, S4D).items():
        limits = None
        if spec.covers("x"):
            states = found.states[path]
            samples = states.samples.reshape(len(states.samples) if spec.granularity == "head" else 1, -1)
            limits = torch.from_numpy(np.percentile(samples, (100 - PERCENTILE, PERCENTILE), axis=1))
        network.set_submodule(path, PaperS4D(layer, limits, spec))
    if spec.component == "all":
        for module in network.modules():
            if isinstance(module, torch.nn.Linear):
                module.weight.data = quantize_parameter(module.weight.data, spec)
    for quantizer in quantizers.values():
        quantizer.active = True
    return model
