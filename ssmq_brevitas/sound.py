"""What the numbers of a model must be, whether it comes from a file or from training."""

from __future__ import annotations

import torch
from torch import nn

from .errors import SsmqError
from .norm import PositiveBatchNorm
from .quant_s4d import QuantS4D
from .s4d import S4D

# Sums of products on these grids stay within float32's range, and its least numbers are far below them.
LEAST_EXPONENT, MOST_EXPONENT = -64, 40
# No parameter or statistic comes near it, and a few that do overflow nothing.
LARGEST = 2.0**30


def refuse_unsound(network: nn.Module, length: int, origin: str) -> None:
    """Raise SsmqError naming the first tensor of ``network`` that no evaluation over ``length`` steps can make sense of.

    Scales must be powers of two from 2^-64 to 2^40, other numbers at most 2^30, variances not negative; and finite what
    each layer makes of them: Ā, B̄, C and D on their grids, gain and offset of batch norm.
    """
    for name, tensor in network.state_dict().items():
        _refuse(origin, name, "is not finite", tensor.isfinite().all())
        if not name.endswith("scale"):
            _refuse(origin, name, "holds numbers past 2^30", (tensor.abs() <= LARGEST).all())
        else:
            mantissa, exponent = torch.frexp(tensor)
            good = (mantissa == 0.5) & (exponent > LEAST_EXPONENT) & (exponent <= MOST_EXPONENT + 1)
            limits = f"2^{LEAST_EXPONENT} to 2^{MOST_EXPONENT}"
            _refuse(origin, name, f"is no power of two from {limits}", good.all())
    derived: tuple[torch.Tensor, ...]
    with torch.no_grad():
        for name, module in network.named_modules():
            if isinstance(module, PositiveBatchNorm):
                _refuse(origin, f"{name}.variance", "is negative", (module.variance >= 0).all())
                derived = module.gain_and_offset()
            elif isinstance(module, QuantS4D):
                derived = module.parameters_on_grid()
            elif isinstance(module, S4D):
                derived = (*module.discrete(), module.continuous()[1] * length)
            else:
                continue
            _refuse(origin, name, "has parameters that are not finite", all(part.isfinite().all() for part in derived))


def _refuse(origin: str, name: str, problem: str, good: torch.Tensor | bool) -> None:
    if not bool(good):
        raise SsmqError(f"{origin}: {name} {problem}")
