"""Formats of Brevitas' quantisers: read, and of activations proved by trying every code, every tie and beyond both ends."""

from __future__ import annotations

import numpy as np
import torch

from ..errors import SsmqError
from ..formats import Format

WIDEST = 16
# Brevitas' least scale: that of zeros.
NOTHING = np.float32(1e-10)


def exponents(name: str, what: str, scale: torch.Tensor, prefix: str) -> np.ndarray:
    """Exponents of a scale, ``()`` if all are one. Raises SsmqError for any that is no power of two."""
    found = scale.detach().double().numpy().reshape(-1)
    mantissa, exponent = np.frexp(found)
    if found.max() <= NOTHING:
        raise SsmqError(f"{name}: the scale of its {what} is {found.max():g}, it has seen nothing but zeros: train the network")
    if np.any(mantissa != 0.5):
        raise SsmqError(
            f"{name}: the scale of its {what} is {found[mantissa != 0.5][0]:.7g}, no power of two: set "
            f"{prefix}restrict_scaling_type=RestrictValueType.POWER_OF_TWO, or use one of Brevitas' ...FixedPoint quantisers"
        )
    exponent = exponent.astype(np.int64) - 1
    return exponent[0].reshape(()) if np.all(exponent == exponent[0]) else exponent


def activation_format(name: str, what: str, proxy) -> tuple[Format, int]:
    """Format and lowest code of the quantiser ``what`` (``act``, ``input`` or ``output``) of the layer ``name``.

    Raises SsmqError naming the option of Brevitas to set unless it rounds half to even on one grid of a power of two.
    """
    prefix = "" if what == "act" else f"{what}_"
    word = f"{prefix}quantiser".replace("_", " ")
    its = f"{name}: its {word}"
    _, scale, zero_point, bits = _tried(its, what, proxy, torch.zeros(1))
    if scale.numel() > 1:
        raise SsmqError(f"{its} has a scale a channel: set {prefix}scaling_per_output_channel=False")
    if not torch.equal(scale, _tried(its, what, proxy, torch.tensor([70.0]))[1]):
        advice = f"use one whose scale stays, such as {what}_quant=Int8ActPerTensorFixedPoint"
        raise SsmqError(f"{its} finds its scale anew for every input: {advice}")
    exponent = exponents(name, word, scale, prefix)
    if torch.any(zero_point != 0):
        raise SsmqError(f"{its} has the zero point {zero_point.max().item():g}: use a symmetric one for {what}_quant")
    width = bits.item()
    least = 2 if proxy.is_signed else 1
    if width != int(width) or not least <= width <= WIDEST:
        raise SsmqError(f"{its} has {width:g} bits: set {prefix}bit_width to a whole number from {least} to {WIDEST}")
    fmt = Format(int(width), bool(proxy.is_signed), exponent)
    low = fmt.low + 1 if fmt.signed and proxy.is_narrow_range else fmt.low
    _prove(its, what, proxy, fmt, low)
    return fmt, low


def _tried(its: str, what: str, proxy, values: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Values, scale, zero point and bits that the quantiser gives for ``values``."""
    try:
        with torch.no_grad():
            result = tuple(torch.as_tensor(part) for part in proxy.fused_activation_quant_proxy.tensor_quant(values))
    except (RuntimeError, TypeError, ValueError):
        result = ()
    if len(result) != 4:
        raise SsmqError(f"{its} is none of integers: use an Int8 or Uint8 one for {what}_quant")
    return result


def _prove(its: str, what: str, proxy, fmt: Format, low: int) -> None:
    """Raise SsmqError unless the quantiser rounds half to even and saturates at ``low`` and ``fmt.high``."""
    quarters = np.arange(4 * fmt.low - 16, 4 * fmt.high + 17) / 4
    values = torch.from_numpy(np.ldexp(quarters, fmt.exponent)).float()
    given = np.ldexp(_tried(its, what, proxy, values)[0].double().numpy(), -fmt.exponent)
    wanted = np.clip(np.rint(quarters), low, fmt.high)
    if np.array_equal(given, wanted):
        return
    advice = f"use an Int8 or Uint8 one for {what}_quant"
    if proxy.rounding_mode != "ROUND":
        prefix = "" if what == "act" else f"{what}_"
        advice = f"its rounding is {proxy.rounding_mode}, set {prefix}float_to_int_impl_type=FloatToIntImplType.ROUND"
    at = int(np.argmax(given != wanted))
    raise SsmqError(
        f"{its} makes {given[at]:g} of {quarters[at]:g} steps, where rounding half to even and saturating to {fmt.bits} bits "
        f"gives {wanted[at]:g}: {advice}"
    )
