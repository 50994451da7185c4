"""Is the converted layer the original? Both are run on the same data, in float64 where the original can."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import chain

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from ..errors import SsmqError
from .conventions import CHOICES, Conventions
from .recognise import Found

# Steps of random input where no example says how many.
STEPS = 96
_NARROW = (torch.float32, torch.complex64)
Build = Callable[[Conventions], nn.Module]


class _Watch(TorchFunctionMode):
    """Notes whether anything is computed in less than float64: the kernel of release 2 is rounded to float32."""

    narrow = False

    def __torch_function__(self, function, types, args=(), kwargs=None):
        given = function(*args, **(kwargs or {}))
        self.narrow |= isinstance(given, torch.Tensor) and given.dim() > 0 and given.dtype in _NARROW
        return given


def gives_state(original: nn.Module, found: Found, build: Build, conventions: Conventions, seen: torch.Tensor | None) -> bool:
    """Whether ``original`` gives ``(y, None)``, not ``y``; a copy in evaluation mode, which may be changed.

    ``build`` makes the converted layer, in float64; ``seen`` is what the layer sees in its network, if that is known.
    Raises SsmqError with the measured difference if the two differ by more than float rounding.
    """
    pair = True
    for u in _inputs(original, found, seen):
        y, precision, pair = _run(original, found, u)
        # Each sum, over steps, modes and channels, rounds once a term; the phase Im A Δ t once a step.
        limit = 8 * (u.shape[_time(original)] + found.modes + found.heads) * torch.finfo(precision).eps
        difference = _difference(build(conventions), u, y)
        if not difference <= limit:
            told = f"its outputs would differ by {difference:.2g} of the largest (float rounding is below {limit:.2g})"
            raise SsmqError(f"{found.place}: not converted: {told}: {_advice(build, conventions, u, y, limit)}")
    return pair


def _time(original: nn.Module) -> int:
    return -1 if getattr(original, "transposed", True) else -2


def _inputs(original: nn.Module, found: Found, seen: torch.Tensor | None) -> list[torch.Tensor]:
    """Noise, as long as what is seen; else of a length that is not the number of heads, so that axes are told apart."""
    like = next(chain(original.parameters(), original.buffers()))
    steps = STEPS + (found.heads == STEPS) if seen is None else seen.shape[_time(original)]
    shape = (2, found.heads, steps) if _time(original) == -1 else (2, steps, found.heads)
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(like.device)
    return [noise] if seen is None else [noise, seen.double()]


def _run(original: nn.Module, found: Found, u: torch.Tensor) -> tuple[torch.Tensor, torch.dtype, bool]:
    """What ``original`` gives, in which precision, and whether in a pair with None."""
    own = next((value.dtype for value in original.parameters()), torch.float32)
    try:
        with torch.no_grad(), _Watch() as watch:
            given = original.double()(u)
        precision = torch.float32 if watch.narrow else torch.float64
    except Exception:  # whatever code that was written for one type does with another
        precision = own
        try:
            with torch.no_grad():
                given = original.to(own)(u.to(own))
        except Exception as error:
            shape = tuple(u.shape)
            raise SsmqError(f"{found.place}: does not run on an input of shape {shape} ({error}): give an example") from error
    y, *rest = given if isinstance(given, tuple) else (given,)
    if not isinstance(y, torch.Tensor) or any(value is not None for value in rest) or len(rest) > 1:
        raise SsmqError(f"{found.place}: gives neither (y, None) nor y, as the published layer does: convert one that does")
    return y.double(), precision, bool(rest)


def _difference(layer: nn.Module, u: torch.Tensor, y: torch.Tensor) -> float:
    """The largest difference, of the largest output; infinite if the shapes differ."""
    try:
        with torch.no_grad():
            found = layer.eval()(u)[0]
    except RuntimeError:  # an activation that these shapes do not take
        return float("inf")
    if found.shape != y.shape:
        return float("inf")
    return float((found - y).abs().max() / y.abs().max().clamp_min(torch.finfo(y.dtype).tiny))


def _advice(build: Build, conventions: Conventions, u: torch.Tensor, y: torch.Tensor, limit: float) -> str:
    """The one argument with which the two would agree, found by trying; else which to look at."""
    for name, values in CHOICES.items():
        for value in values:
            try:
                if _difference(build(replace(conventions, **{name: value})), u, y) <= limit:
                    return f"with {name}={value!r} they agree"
            except SsmqError:  # no numbers under this convention
                continue
    return (
        "look at the layer's l_max (only whole kernels are converted), and give what it was made with as discretization, "
        "real_transform, imag_transform, dt_transform, dt_fast, bandlimit, activation, final_act"
    )
