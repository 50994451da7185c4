"""Parameterisations of Ā: what is stored and trained, and how it becomes the Cartesian codes that hardware multiplies.

Every parameterisation ends on the same Cartesian format (re, im of ``bits.a`` bits), so the recurrence, the graphs
and the RTL see one kind of Ā. They differ in what is stored a mode and what the gradient moves:

    discrete    re and im of Ā themselves                         2 a bits
    continuous  A and Δ of the float S4D (exp, ZOH)               2 a bits
    frozen      as discrete, never trained                        2 a bits
    polar       |Ā| on a uniform grid in (0, 1), and the phase    a_magnitude + a_phase bits
    log_polar   log2(-log2 |Ā|) on a uniform grid, and the phase  a_magnitude + a_phase bits

Exponentials and angles are computed in double precision: single-precision ones of a CPU and a GPU differ in the last
place, enough to move a code next to a tie, and what was trained on one has to run on the other.

On the polar grids |Ā| < 1 holds by construction, after the decoding to Cartesian codes too. The phases of a slow head
lie within a small part of a turn, and what is wrong with them adds up over its long memory: so each head's codes cover a
range of its own, a power of two of a turn.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from .config import Scheme
from .errors import SsmqError
from .formats import Format, fit_exponent
from .quantizers import ParameterQuantizer, PowerOfTwoScale, exponent_of
from .s4d import S4D, DynamicsParameter


def straight_through(value: torch.Tensor, quantized: torch.Tensor) -> torch.Tensor:
    """``quantized`` forward, the gradient of ``value`` backward.

    ``value + (quantized - value)`` would round; the detached value plus an exact zero does not.
    """
    return quantized.detach() + (value - value.detach())


class Parameterisation(nn.Module):
    """Base: Ā of one layer on a Cartesian format. ``forward()`` gives re and im, each ``(H, N)``, on the grid.

    ``cartesian`` quantises both parts at once, ``(2, H, N)``, so that a scale by statistics is one of both.
    """

    def __init__(self, heads: int, modes: int, scheme: Scheme):
        super().__init__()
        self.bits = scheme.bits
        self.cartesian = ParameterQuantizer(scheme.bits.a, () if scheme.granularity == "tensor" else (heads, 1))

    @property
    def format(self) -> Format:
        return Format(self.bits.a, True, exponent_of(self.scale))

    @property
    def scale(self) -> torch.Tensor:
        """``()`` or ``(H, 1)``."""
        scale = self.cartesian.scale
        return scale.reshape(scale.shape[-2:])

    def values(self) -> torch.Tensor:
        """Ā before rounding, re and im ``(2, H, N)``."""
        raise NotImplementedError

    def forward(self) -> tuple[torch.Tensor, torch.Tensor]:
        re, im = self.cartesian(self.values())
        return re, im

    def stored_bits(self) -> int:
        """Bits a mode."""
        return 2 * self.bits.a

    def input_gain(self) -> torch.Tensor | None:
        """Complex factor ``(H, N)`` that the input weight is multiplied with, None for 1."""
        return None

    def fit(self, s4d: S4D) -> None:
        """Take over Ā of a float layer and choose the format. Raises SsmqError if A or Δ are not finite."""
        if not all(torch.isfinite(value).all() for value in s4d.continuous()):
            raise SsmqError("A and Δ of the float model must be finite numbers, some are not: did its training diverge?")
        a, _, _ = s4d.discrete()
        a = a.detach()
        if self.cartesian.power.scale.dim():
            groups = torch.view_as_real(a).reshape(a.shape[0], -1).numpy()
            self.cartesian.power.set_exponent(fit_exponent(groups, self.bits.a, True, "max")[:, None])
        else:
            self.cartesian.power.set_exponent(1 - self.bits.a)
        self._adopt(s4d, a)

    def _adopt(self, s4d: S4D, a: torch.Tensor) -> None:
        raise NotImplementedError


class Discrete(Parameterisation):
    """Ā itself is stored and trained. Nothing keeps it inside the unit disk."""

    def __init__(self, heads: int, modes: int, scheme: Scheme):
        super().__init__(heads, modes, scheme)
        self.a_re = DynamicsParameter(torch.zeros(heads, modes))
        self.a_im = DynamicsParameter(torch.zeros(heads, modes))

    def _adopt(self, s4d: S4D, a: torch.Tensor) -> None:
        self.a_re.data, self.a_im.data = a.real.clone(), a.imag.clone()

    def values(self) -> torch.Tensor:
        return torch.stack([self.a_re, self.a_im])


class Frozen(Discrete):
    """Ā stays where the float model put it; everything else adapts to its rounding."""

    def __init__(self, heads: int, modes: int, scheme: Scheme):
        super().__init__(heads, modes, scheme)
        self.requires_grad_(False)


class Continuous(Parameterisation):
    """A and Δ are trained as in S4D, Ā = exp(Δ A) is rounded; B̄ keeps its factor (Ā - 1) / A."""

    def __init__(self, heads: int, modes: int, scheme: Scheme):
        super().__init__(heads, modes, scheme)
        self.log_dt = DynamicsParameter(torch.zeros(heads))
        self.log_a_re = DynamicsParameter(torch.zeros(heads, modes))
        self.a_im = DynamicsParameter(torch.zeros(heads, modes))

    def _adopt(self, s4d: S4D, a: torch.Tensor) -> None:
        for name in ("log_dt", "log_a_re", "a_im"):
            getattr(self, name).data = getattr(s4d, name).detach().clone()

    def _discrete(self) -> tuple[torch.Tensor, torch.Tensor]:
        a = torch.complex(-torch.exp(self.log_a_re.double()), self.a_im.double())
        return a, torch.exp(a * torch.exp(self.log_dt.double())[:, None])

    def input_gain(self) -> torch.Tensor:
        a, a_bar = self._discrete()
        return ((a_bar - 1) / a).to(self.a_im.dtype.to_complex())

    def values(self) -> torch.Tensor:
        _, a_bar = self._discrete()
        return torch.stack([a_bar.real, a_bar.imag]).to(self.a_im.dtype)


class PolarGrid(Parameterisation):
    """Magnitude and phase codes, decoded to Cartesian codes inside the open unit disk.

    A phase is ``code * phase_power.scale`` turns with codes from 0, in a head of which one phase is a whole turn or more
    or is negative, taken modulo a turn.
    """

    def __init__(self, heads: int, modes: int, scheme: Scheme):
        super().__init__(heads, modes, scheme)
        self.phase = DynamicsParameter(torch.zeros(heads, modes))  # turns
        self.phase_power = PowerOfTwoScale((heads, 1))

    def stored_bits(self) -> int:
        return self.bits.a_magnitude + self.bits.a_phase

    def magnitude_on_grid(self) -> torch.Tensor:
        """|Ā| ``(H, N)``, float64."""
        raise NotImplementedError

    def _adopt_phase(self, s4d: S4D) -> None:
        """Phases as ΔA has them, not wrapped, and the range of every head."""
        _, dt_a = s4d.continuous()
        phase = dt_a.detach().imag / (2 * math.pi)
        low, high = phase.amin(dim=1, keepdim=True), phase.amax(dim=1, keepdim=True)
        exponent = torch.ceil(torch.log2(high.clamp(min=2.0**-16))) - self.bits.a_phase
        # A code below 0 that rounds to 0 needs no turn.
        turn = (exponent > -self.bits.a_phase) | (low < -(2.0 ** (exponent - 1)))
        self.phase.data = torch.where(turn, phase.remainder(1), phase)
        self.phase_power.set_exponent(torch.where(turn, float(-self.bits.a_phase), exponent).int().numpy())

    def phase_on_grid(self) -> torch.Tensor:
        """Turns ``(H, N)``."""
        scale, codes = self.phase_power.scale, 2**self.bits.a_phase
        code = torch.round(self.phase.detach() / scale)
        code = torch.where(scale * codes == 1, code.remainder(codes), code.clamp(0, codes - 1))
        return straight_through(self.phase, code * scale)

    def values(self) -> torch.Tensor:
        """In double precision."""
        magnitude, angle = self.magnitude_on_grid(), 2 * math.pi * self.phase_on_grid().double()
        return torch.stack([magnitude * torch.cos(angle), magnitude * torch.sin(angle)])

    def forward(self) -> tuple[torch.Tensor, torch.Tensor]:
        re, im = self.values()
        code_re, code_im = self._decode(re.detach(), im.detach())
        scale, kind = self.scale, self.phase.dtype
        return straight_through(re.to(kind), code_re.to(kind) * scale), straight_through(im.to(kind), code_im.to(kind) * scale)

    def _decode(self, re: torch.Tensor, im: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        scale, low, high = self.scale, -(2 ** (self.bits.a - 1)), 2 ** (self.bits.a - 1) - 1
        re, im = re / scale, im / scale
        near_re, near_im = re.round().clamp(low, high), im.round().clamp(low, high)
        # Rounding to nearest may leave the disk; truncation towards 0 of a point inside cannot.
        inside = near_re.square() + near_im.square() < scale.reciprocal().square()
        return (
            torch.where(inside, near_re, re.trunc().clamp(low, high)),
            torch.where(inside, near_im, im.trunc().clamp(low, high)),
        )


class Polar(PolarGrid):
    """|Ā| = (code + 1/2) / 2**a_magnitude."""

    def __init__(self, heads: int, modes: int, scheme: Scheme):
        super().__init__(heads, modes, scheme)
        self.magnitude = DynamicsParameter(torch.zeros(heads, modes))

    def _adopt(self, s4d: S4D, a: torch.Tensor) -> None:
        self.magnitude.data = a.abs()
        self._adopt_phase(s4d)

    def magnitude_on_grid(self) -> torch.Tensor:
        steps = 2**self.bits.a_magnitude
        code = torch.floor(self.magnitude.detach() * steps).clamp(0, steps - 1)
        return straight_through(self.magnitude, (code + 0.5) / steps).double()


class LogPolar(PolarGrid):
    """|Ā| = 2**-decay with log2(decay) on a uniform grid between the layer's own extremes."""

    log_decay_range: torch.Tensor

    def __init__(self, heads: int, modes: int, scheme: Scheme):
        super().__init__(heads, modes, scheme)
        self.log_decay = DynamicsParameter(torch.zeros(heads, modes))
        self.register_buffer("log_decay_range", torch.tensor([0.0, 1.0]))

    def _adopt(self, s4d: S4D, a: torch.Tensor) -> None:
        self._adopt_phase(s4d)
        # From A itself: |Ā| close to 1 has lost the decay's digits.
        _, dt_a = s4d.continuous()
        self.log_decay.data = torch.log2(-dt_a.detach().real / math.log(2))
        low, high = self.log_decay.detach().aminmax()
        self.log_decay_range.copy_(torch.stack([low, high if high > low else low + 1]))

    def magnitude_on_grid(self) -> torch.Tensor:
        low, high = self.log_decay_range
        step = (high - low) / (2**self.bits.a_magnitude - 1)
        code = torch.round((self.log_decay.detach() - low) / step).clamp(0, 2**self.bits.a_magnitude - 1)
        return torch.exp2(-torch.exp2(straight_through(self.log_decay, low + code * step).double()))


PARAMETERISATIONS: dict[str, type[Parameterisation]] = {
    "discrete": Discrete,
    "continuous": Continuous,
    "frozen": Frozen,
    "polar": Polar,
    "log_polar": LogPolar,
}
