"""The Brevitas quantisers of this project: integer, power-of-two scale set from outside, round half to even.

Brevitas derives scales from statistics of the calls it sees; a state quantiser is called once a time step, so its
calibration window would close inside the first sequence. Here the scale is a buffer that calibration sets.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Protocol, runtime_checkable

import brevitas.nn as qnn
import numpy as np
import torch
from brevitas.core.function_wrapper import TensorClampSte
from brevitas.core.quant import RescalingIntQuant
from brevitas.inject import ExtendedInjector, value
from brevitas.quant import Int8ActPerTensorFloat, Int8WeightPerTensorFloat
from torch import nn

from .errors import SsmqError
from .fake_quantize import fake_quantize
from .formats import Format, fit_exponent, whole_exponent


def exponent_of(scale: torch.Tensor) -> np.ndarray:
    """The exponents of powers of two, int64 of the shape of ``scale``. Raises SsmqError if one is no power of two."""
    significand, exponent = np.frexp(scale.detach().cpu().numpy())
    if np.any(significand != 0.5):
        wrong = scale.detach().cpu().numpy()[significand != 0.5].flat[0]
        raise SsmqError(f"a scale must be a power of two, not {wrong}")
    return exponent.astype(np.int64) - 1


@runtime_checkable
class _HasEngine(Protocol):
    engine: str


def use_engine(network: nn.Module, engine: str) -> None:
    """``"fused"``: one kernel for a recurrence or a quantiser; ``"reference"``: Brevitas, op by op. Same codes."""
    for module in network.modules():
        if isinstance(module, _HasEngine):
            module.engine = engine


class PowerOfTwoScale(nn.Module):
    """Brevitas scaling implementation whose scale is the buffer ``scale``, powers of two that broadcast."""

    scale: torch.Tensor

    def __init__(self, shape: tuple[int, ...] = ()):
        super().__init__()
        self.register_buffer("scale", torch.ones(shape))

    def set_exponent(self, exponent: np.ndarray | int) -> None:
        """Raises SsmqError for what is no whole number or no float32 scale."""
        values = np.ldexp(1.0, np.broadcast_to(whole_exponent(exponent), self.scale.shape))
        self.scale.copy_(torch.from_numpy(np.asarray(values)))

    @property
    def exponent(self) -> np.ndarray:
        """Integer exponents, the shape of ``scale``. Raises SsmqError if a scale is no power of two."""
        return exponent_of(self.scale)

    def forward(self, x: torch.Tensor, threshold: torch.Tensor | None = None) -> torch.Tensor:
        return self.scale


def fit_scale(power: PowerOfTwoScale, values: np.ndarray, bits: int, rule: str, finest: np.ndarray | None = None) -> None:
    """Fit exponents of the shape of ``power.scale`` to ``values``, no finer than ``finest``."""
    shape = tuple(power.scale.shape)
    kept = [axis for axis, size in enumerate(shape) if size > 1]
    moved = np.moveaxis(values, kept, range(len(kept)))
    groups = moved.reshape(int(np.prod([shape[axis] for axis in kept], dtype=int)), -1)
    exponent = fit_exponent(groups, bits, True, rule).reshape(shape)
    if finest is not None:
        finest = np.asarray(finest)
        exponent = np.maximum(exponent, finest if finest.shape == shape else finest.min())
    power.set_exponent(exponent)


class UnitIntScale(nn.Module):
    """The threshold is the scale itself, not a range to be divided by the number of codes."""

    def forward(self, bit_width: torch.Tensor) -> torch.Tensor:
        return torch.ones_like(bit_width)


class _ScaleIsSet(ExtendedInjector):
    """Injects a ``PowerOfTwoScale`` of the shape ``scale_shape``, a new one into every quantiser."""

    scale_shape = ()
    dtype = device = None

    @value
    def scaling_impl(scale_shape):
        return PowerOfTwoScale(scale_shape)

    @value
    def int_scaling_impl():
        return UnitIntScale()


class PowerOfTwoWeight(_ScaleIsSet, Int8WeightPerTensorFloat):
    """Brevitas quantiser of a parameter: signed, not narrow, its scale the buffer of a ``PowerOfTwoScale``.

    ``let(bit_width=6)`` chooses the width, ``let(scale_shape=(heads, 1, 1))`` how many elements share a scale.
    """

    narrow_range = False
    tensor_clamp_impl = TensorClampSte


class PowerOfTwoAct(_ScaleIsSet, Int8ActPerTensorFloat):
    """The same of an activation or a state; ``let(signed=False)`` is for what is never negative."""


class _Readable:
    """What is asked of a quantiser, whatever class it was made by."""

    bits: int
    signed: bool

    @property
    def integer_quantizer(self) -> RescalingIntQuant:
        """What Brevitas made of the class. What is none of integers is refused (see ``contract``)."""
        raise NotImplementedError

    @property
    def scale(self) -> torch.Tensor:
        """Size of one code, powers of two that broadcast."""
        raise NotImplementedError

    @property
    def power(self) -> PowerOfTwoScale:
        """The scaling of a quantiser whose scale is set from outside."""
        return self.integer_quantizer.scaling_impl

    @property
    def format(self) -> Format:
        """Raises SsmqError if a scale is no power of two."""
        return Format(self.bits, self.signed, exponent_of(self.scale))


class Quantizer(_Readable, qnn.QuantIdentity):
    """Activation quantiser: a Brevitas ``QuantIdentity`` with its format readable.

    ``engine`` ``"reference"`` runs Brevitas op by op, ``"fused"`` one kernel with the same codes and gradients.
    ``act_quant``, if given, is a Brevitas class that says all but the width itself.
    """

    def __init__(
        self,
        bits: int,
        signed: bool = True,
        shape: tuple[int, ...] = (),
        act_quant: type[ExtendedInjector] | None = None,
        return_quant_tensor: bool = False,
    ):
        if act_quant is None:
            act_quant = PowerOfTwoAct.let(signed=signed, scale_shape=shape)
        qnn.QuantIdentity.__init__(self, act_quant=act_quant.let(bit_width=bits), return_quant_tensor=return_quant_tensor)
        self.bits, self.signed = bits, self.act_quant.is_signed
        self.engine = "fused"

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.return_quant_tensor or not isinstance(self.power, PowerOfTwoScale):
            return super().forward(x)
        scale = self.power.scale
        x = x.to(scale.dtype)  # an input is float32 where the sums of its network need float64
        if self.engine == "reference" or scale.dim():
            return super().forward(x)
        fmt = Format(self.bits, self.signed, np.array(0))
        return fake_quantize(x, scale, fmt.low, fmt.high)

    @property
    def integer_quantizer(self) -> RescalingIntQuant:
        return self.act_quant.fused_activation_quant_proxy.tensor_quant

    @property
    def scale(self) -> torch.Tensor:
        return self.power.scale if isinstance(self.power, PowerOfTwoScale) else self.act_quant.scale()


class ParameterQuantizer(_Readable, nn.Module):
    """Quantiser of a parameter that belongs to no linear layer (B̄, C, D): the integer quantiser of a Brevitas class.

    ``quant``, if given, is a Brevitas class that says all but the width itself; a scale by statistics is that of
    ``source()``, whose axis ``channels`` is that of the heads.
    """

    signed = True

    def __init__(
        self,
        bits: int,
        shape: tuple[int, ...] = (),
        quant: type[ExtendedInjector] | None = None,
        source: Callable[[], torch.Tensor] | None = None,
        channels: int = 0,
    ):
        super().__init__()
        self.bits, self.source = bits, source
        quant = (PowerOfTwoWeight.let(scale_shape=shape) if quant is None else quant).let(bit_width=bits)
        if source is not None:
            # What a layer and its weight are to Brevitas.
            weight = source().detach()
            layer = SimpleNamespace(weight=weight, out_channels=weight.shape[channels], output_channel_dim=channels)
            quant = quant.let(module=layer, tracked_parameter_list=[weight])
        self.tensor_quant = quant.tensor_quant

    @property
    def integer_quantizer(self) -> RescalingIntQuant:
        return self.tensor_quant

    @property
    def scale(self) -> torch.Tensor:
        if isinstance(self.power, PowerOfTwoScale):
            return self.power.scale
        with torch.no_grad():
            return self.tensor_quant(self.source())[1]

    def forward(self, parameter: torch.Tensor) -> torch.Tensor:
        return self.tensor_quant(parameter)[0]
