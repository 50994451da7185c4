"""Published parameters to ours: what A, Δ, B and C are, and how they fold into the five tensors of an S4D.

    published   K_t = 2 Re sum_n B_n C_n (exp(Δ A_n) - 1) / A_n exp(Δ A_n)^t,   A = -f(real) ± i g(imag),   Δ = h(dt)
    ours        the same with B = 1, A = -exp(log_a_re) + i a_im, Δ = exp(log_dt), one Δ a head

1. C takes B.
2. State matrices that several heads share are repeated.
3. Where every mode has a Δ of its own, Δ_n = r_n Δ, A takes r_n, and C too: (Ā - 1) / A must stay what it was.
4. ``bandlimit`` sets C to zero where Δ |Im A| / 2π is half of it or more.
5. The bilinear Ā = (1 + ΔA/2) / (1 - ΔA/2) is the exponential of another ΔA, 2 atanh(ΔA/2), which lies left of the imaginary
   axis as ΔA does; B̄ = Δ / (1 - ΔA/2) goes into C.

Source: state-spaces/s4; Gu et al., arXiv 2206.11893.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields

import torch
from torch import nn

from ..errors import SsmqError
from .recognise import Found

# A positive number from a parameter; "exp" stands apart, since its logarithm is the parameter itself.
TRANSFORMS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "exp": torch.exp,
    "none": lambda x: x,
    "relu": lambda x: torch.relu(x) + 1e-4,
    "sigmoid": torch.sigmoid,
    "softplus": nn.functional.softplus,
}
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "id": nn.Identity,
    "gelu": nn.GELU,
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "elu": nn.ELU,
    "softplus": nn.Softplus,
}
FINAL_ACTIVATIONS = {**ACTIVATIONS, "glu": nn.GLU}


@dataclass(frozen=True)
class Conventions:
    """What names and shapes do not tell of a layer. Named as the published layers name their options."""

    discretization: str = "zoh"
    real_transform: str = "exp"
    imag_transform: str = "none"
    dt_transform: str = "exp"
    dt_fast: bool = False
    bandlimit: float | None = None
    activation: str | None = None
    final_act: str | None = None

    def __post_init__(self):
        if self.discretization == "dss":
            raise SsmqError(
                "discretization='dss': scales its outputs by the length of the sequence, which no recurrence knows: train it "
                "with disc='zoh' or 'bilinear'"
            )
        if self.bandlimit is not None and not (type(self.bandlimit) in (int, float) and 0 < self.bandlimit < math.inf):
            raise SsmqError(f"bandlimit must be a number above 0 or None, not {self.bandlimit!r}")
        for one in fields(self):
            if one.name != "bandlimit" and getattr(self, one.name) not in CHOICES[one.name]:
                told = ", ".join(map(repr, CHOICES[one.name]))
                raise SsmqError(f"{one.name} must be one of {told}, not {getattr(self, one.name)!r}")

    def told(self) -> str:
        """Those that concern the recurrence, in words."""
        named = (one.name for one in fields(self) if one.name not in ("activation", "final_act"))
        return ", ".join(f"{name} {getattr(self, name)}" for name in named)


CHOICES: dict[str, tuple] = {
    "discretization": ("zoh", "bilinear"),
    "real_transform": tuple(TRANSFORMS),
    "imag_transform": tuple(TRANSFORMS),
    "dt_transform": tuple(TRANSFORMS),
    "dt_fast": (False, True),
    "activation": (None, *ACTIVATIONS),
    "final_act": (None, *FINAL_ACTIVATIONS),
}


def parameters(found: Found, state: Mapping[str, torch.Tensor], conventions: Conventions) -> dict[str, torch.Tensor]:
    """The tensors of our S4D, in float64. Raises SsmqError naming the tensor that a convention does not fit."""
    form, heads = found.formulation, found.heads
    given = {name: state[full].detach().double() for name, full in found.tensors.items()}
    dt = torch.sinh(given[form.dt]) if conventions.dt_fast else given[form.dt]
    log_dt = _logarithm(found, form.dt, dt.reshape(heads, -1), "dt_transform", conventions)
    log_a_re = _logarithm(found, form.real, given[form.real], "real_transform", conventions)
    a_im = form.sign * TRANSFORMS[conventions.imag_transform](given[form.imag])
    log_a_re, a_im = (part.repeat(heads // len(part), 1) for part in (log_a_re, a_im))
    c = torch.view_as_complex(given["C"].reshape(heads, -1, 2).contiguous())
    if conventions.bandlimit is not None:
        c = c * (torch.exp(log_dt) * a_im.abs() / (2 * math.pi) < conventions.bandlimit / 2)
    if form.b:
        b = torch.view_as_complex(given[form.b].reshape(-1, found.modes, 2).contiguous())
        c = c * b.repeat(heads // len(b), 1)
    if log_dt.shape[1] > 1:
        spread = log_dt - log_dt.mean(dim=1, keepdim=True)
        log_a_re, a_im, c = log_a_re + spread, a_im * torch.exp(spread), c * torch.exp(spread)
    if conventions.discretization == "bilinear":
        log_a_re, a_im, c = _held(log_dt.mean(dim=1, keepdim=True).exp(), log_a_re, a_im, c)
    made = {"log_dt": log_dt.mean(dim=1), "log_a_re": log_a_re, "a_im": a_im, "c": torch.view_as_real(c)}
    return {**made, "d": given["D"].reshape(heads)}


def _held(dt: torch.Tensor, log_a_re: torch.Tensor, a_im: torch.Tensor, c: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """A and C whose zero-order hold is the bilinear recurrence of those that are given."""
    half = dt * torch.complex(-torch.exp(log_a_re), a_im) / 2
    dt_a = 2 * torch.atanh(half)
    return torch.log(-dt_a.real / dt), dt_a.imag / dt, c * dt_a / (2 * half)


def _logarithm(found: Found, name: str, values: torch.Tensor, argument: str, conventions: Conventions) -> torch.Tensor:
    """Of the positive numbers that ``values`` stand for: as they are under "exp"."""
    transform = getattr(conventions, argument)
    if transform == "exp":
        return values
    positive = TRANSFORMS[transform](values)
    if not (positive > 0).all():
        raise SsmqError(f"{found.place}: {name} does not stand for positive numbers: look at {argument} ({transform!r})")
    return torch.log(positive)
