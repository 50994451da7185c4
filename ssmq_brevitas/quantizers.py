"""The Brevitas quantisers of this project: integer, power-of-two scale set from outside, round half to even.

Brevitas derives scales from statistics of the calls it sees; a state quantiser is called once a time step, so its
calibration window would close inside the first sequence. Here the scale is a buffer that calibration sets.
"""

from __future__ import annotations

import brevitas.nn as qnn
import numpy as np
import torch
from brevitas.core.bit_width import BitWidthConst
from brevitas.core.function_wrapper import Identity, RoundSte, TensorClampSte
from brevitas.core.quant import IntQuant, RescalingIntQuant
from brevitas.core.zero_point import ZeroZeroPoint
from brevitas.quant import Int8ActPerTensorFloat
from torch import nn

from .errors import SsmqError
from .fake_quantize import fake_quantize
from .formats import Format, whole_exponent


class PowerOfTwoScale(nn.Module):
    """Brevitas scaling implementation whose scale is the buffer ``scale``, powers of two that broadcast."""

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
        significand, exponent = np.frexp(self.scale.cpu().numpy())
        if np.any(significand != 0.5):
            wrong = self.scale.cpu().numpy()[significand != 0.5].flat[0]
            raise SsmqError(f"a scale must be a power of two, not {wrong}")
        return exponent.astype(np.int64) - 1

    def forward(self, x: torch.Tensor, threshold: torch.Tensor | None = None) -> torch.Tensor:
        return self.scale


class UnitIntScale(nn.Module):
    """The threshold is the scale itself, not a range to be divided by the number of codes."""

    def forward(self, bit_width: torch.Tensor) -> torch.Tensor:
        return torch.ones_like(bit_width)


class Quantizer(qnn.QuantIdentity):
    """Activation quantiser: a Brevitas ``QuantIdentity`` with its format readable.

    ``engine`` ``"reference"`` runs Brevitas op by op, ``"fused"`` one kernel with the same codes and gradients.
    """

    def __init__(self, bits: int, signed: bool = True, shape: tuple[int, ...] = ()):
        super().__init__(
            act_quant=Int8ActPerTensorFloat.let(
                scaling_impl=PowerOfTwoScale(shape),
                int_scaling_impl=UnitIntScale(),
                bit_width=bits,
                signed=signed,
            ),
            return_quant_tensor=False,
        )
        self.bits, self.signed = bits, signed
        self.engine = "fused"

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scale = self.power.scale
        x = x.to(scale.dtype)  # an input is float32 where the sums of its network need float64
        if self.engine == "reference" or scale.dim():
            return super().forward(x)
        fmt = Format(self.bits, self.signed, np.int64(0))
        return fake_quantize(x, scale, fmt.low, fmt.high)

    @property
    def power(self) -> PowerOfTwoScale:
        return self.act_quant.fused_activation_quant_proxy.tensor_quant.scaling_impl

    @property
    def format(self) -> Format:
        return Format(self.bits, self.signed, self.power.exponent)


class ParameterQuantizer(nn.Module):
    """Quantiser of a parameter that belongs to no linear layer (B̄, C, D): Brevitas' ``RescalingIntQuant``."""

    def __init__(self, bits: int, shape: tuple[int, ...] = ()):
        super().__init__()
        self.bits = bits
        self.tensor_quant = RescalingIntQuant(
            int_quant=IntQuant(
                narrow_range=False,
                signed=True,
                input_view_impl=Identity(),
                float_to_int_impl=RoundSte(),
                tensor_clamp_impl=TensorClampSte(),
            ),
            scaling_impl=PowerOfTwoScale(shape),
            int_scaling_impl=UnitIntScale(),
            zero_point_impl=ZeroZeroPoint(),
            bit_width_impl=BitWidthConst(bits),
        )

    @property
    def power(self) -> PowerOfTwoScale:
        return self.tensor_quant.scaling_impl

    @property
    def format(self) -> Format:
        return Format(self.bits, True, self.power.exponent)

    def forward(self, parameter: torch.Tensor) -> torch.Tensor:
        return self.tensor_quant(parameter)[0]
