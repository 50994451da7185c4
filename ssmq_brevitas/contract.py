"""Which quantisers of Brevitas keep the integer contract, and what to set in one that does not.

What hardware computes with is code * 2**exponent, the code rounded half to even into a whole two's complement range.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from brevitas.core.bit_width import BitWidthConst
from brevitas.core.function_wrapper import RoundSte
from brevitas.core.quant import RescalingIntQuant
from brevitas.core.restrict_val import PowerOfTwoRestrictValue
from brevitas.core.scaling import ConstScaling
from brevitas.core.zero_point import ZeroZeroPoint
from brevitas.inject import ExtendedInjector, Injector
from brevitas.quant_tensor import QuantTensor
from dependencies.exceptions import DependencyError
from torch import nn

from .errors import SsmqError
from .quantizers import ParameterQuantizer, PowerOfTwoScale, Quantizer

LEAST_BITS, MOST_BITS = 2, 24
POWER_OF_TWO = "restrict_scaling_type = RestrictValueType.POWER_OF_TWO"


def refuse_no_class(tensor: str, quant: object) -> None:
    """Raise SsmqError unless ``quant`` is a quantiser class of Brevitas."""
    if not (isinstance(quant, type) and issubclass(quant, (Injector, ExtendedInjector))):
        raise SsmqError(
            f"{tensor} must be a Brevitas quantiser class, such as Int8WeightPerTensorFixedPoint, or None, not {quant!r}"
        )


def bit_width(tensor: str, quant: type[ExtendedInjector]) -> int:
    """The width that a quantiser class says. Raises SsmqError if it says none, or one that nothing here computes with."""
    with built_by_brevitas(tensor):
        bits = int(quant.bit_width)
    refuse_width(tensor, bits)
    return bits


@contextmanager
def built_by_brevitas(tensor: str) -> Iterator[None]:
    """What Brevitas cannot make of a class raises SsmqError with its reason."""
    try:
        yield
    except (DependencyError, TypeError, RuntimeError) as error:
        raise SsmqError(f"{tensor}: Brevitas cannot build it ({' '.join(str(error).split())}): set what is missing") from error


def refuse_width(tensor: str, bits: int) -> None:
    """Raise SsmqError for a width that nothing here computes with."""
    if not LEAST_BITS <= bits <= MOST_BITS:
        raise SsmqError(f"{tensor} has {bits} bits: set bit_width from {LEAST_BITS} to {MOST_BITS}")


def refuse_inexact(tensor: str, made: Quantizer | ParameterQuantizer, signed: bool = False) -> None:
    """Raise SsmqError, naming ``tensor`` and the option to set, unless what Brevitas ``made`` keeps the contract.

    With ``signed`` it must be that.
    """
    quantizer = made.integer_quantizer
    if not isinstance(quantizer, RescalingIntQuant):
        raise SsmqError(f"{tensor} is a {type(quantizer).__name__}, no integer quantiser: set quant_type = QuantType.INT")
    rounding = quantizer.int_quant.float_to_int_impl
    kept = {
        ("rounds by " + type(rounding).__name__, "float_to_int_impl_type = FloatToIntImplType.ROUND"): isinstance(
            rounding, RoundSte
        ),
        ("has a narrow range", "narrow_range = False"): not quantizer.int_quant.narrow_range,
        ("is unsigned", "signed = True"): quantizer.int_quant.signed or not signed,
        ("has a zero point", "zero_point_impl = ZeroZeroPoint"): isinstance(quantizer.zero_point_impl, ZeroZeroPoint),
        ("learns its width", "bit_width_impl_type = BitWidthImplType.CONST"): isinstance(
            quantizer.msb_clamp_bit_width_impl, BitWidthConst
        ),
    }
    for (problem, option), good in kept.items():
        if not good:
            raise SsmqError(f"{tensor} {problem}: set {option}")
    refuse_width(tensor, int(quantizer.msb_clamp_bit_width_impl()))
    _refuse_scale(tensor, quantizer.scaling_impl, made.scale.detach())


def _refuse_scale(tensor: str, scaling: nn.Module, scale: torch.Tensor) -> None:
    restricted = any(isinstance(module, PowerOfTwoRestrictValue) for module in scaling.modules())
    if not restricted and not isinstance(scaling, (PowerOfTwoScale, ConstScaling)):
        raise SsmqError(
            f"{tensor} has a scale ({type(scaling).__name__}, {_first(scale):g} now) that need not be a power of two: "
            f"set {POWER_OF_TWO}"
        )
    wrong = _no_powers(scale)
    wrong = wrong[~wrong.isnan()]  # of one that is not known yet
    if wrong.numel():
        option = "int_scaling_impl = PowerOfTwoIntScaling" if restricted else POWER_OF_TWO
        raise SsmqError(f"{tensor} has the scale {_first(wrong):g}, no power of two: set {option}")


def exact_values(tensor: str, given: torch.Tensor | QuantTensor, training: bool) -> torch.Tensor:
    """The values of what may be a QuantTensor. Raises SsmqError if its scale or its zero point is none of the contract.

    Not in training: while Brevitas collects its first statistics, no scale is a power of two.
    """
    if not isinstance(given, QuantTensor):
        return given
    if training:
        return given.value
    if given.zero_point.any():
        raise SsmqError(f"{tensor} has a zero point: set zero_point_impl = ZeroZeroPoint in the quantiser before")
    wrong = _no_powers(given.scale)
    if wrong.numel():
        raise SsmqError(
            f"{tensor} has the scale {_first(wrong):g}, no power of two: set {POWER_OF_TWO} in the quantiser before"
        )
    return given.value


def refuse_moving_scale(tensor: str, made: Quantizer) -> None:
    """Raise SsmqError for a state's scale by statistics or training: a state is quantised once a time step."""
    if not isinstance(made.power, (PowerOfTwoScale, ConstScaling)):
        raise SsmqError(
            f"{tensor} has a scale that moves ({type(made.power).__name__}); a state is quantised once a time step, "
            f"and statistics of so many calls end in the first sequence: set scaling_impl_type = ScalingImplType.CONST and "
            f"scaling_init, or leave it None: the range is then that of the first training batch"
        )


def _no_powers(scale: torch.Tensor) -> torch.Tensor:
    return scale[torch.frexp(scale)[0] != 0.5]


def _first(scale: torch.Tensor) -> float:
    return float(scale.flatten()[0])
