"""From a quantised model to another scheme: staged lowering of widths, freezing and unfreezing Ā.

A tensor that loses bits keeps its range and loses its last places, so what was trained at more bits is the start at
fewer (Zhou et al., "DoReFa-Net", arXiv 1606.06160, train from wide to narrow in the same way).
"""

from __future__ import annotations

import torch

from .config import Config, Scheme
from .errors import SsmqError
from .fitting import finest_exponents
from .model import Classifier
from .parameterisations import PolarGrid
from .post_training import empty_quantized, settle_precision
from .quant_linear import QuantLinear
from .quant_s4d import QuantS4D
from .quantizers import ParameterQuantizer, Quantizer

CARTESIAN = ("discrete", "frozen")


def requantize(trained: Classifier, found: Scheme, config: Config) -> Classifier:
    """``trained``, quantised by ``found``, on the grids of ``config.scheme``, in evaluation mode.

    Raises SsmqError if the schemes differ in more than widths and in whether Ā is frozen.
    """
    wanted = config.scheme
    parameterisations = {found.parameterisation, wanted.parameterisation}
    same = found.model_copy(update={"bits": wanted.bits, "parameterisation": wanted.parameterisation}) == wanted
    if not same or len(parameterisations - set(CARTESIAN)) + bool(parameterisations & set(CARTESIAN)) > 1:
        raise SsmqError(
            f"{config.name}: a quantised model can change its widths and freeze or unfreeze a discrete Ā, not its other "
            f"grids: start from the float model"
        )
    model = empty_quantized(config)
    with torch.no_grad():
        model.load_state_dict(trained.state_dict())
        old = dict(trained.named_modules())
        for name, module in model.named_modules():
            if isinstance(module, (Quantizer, ParameterQuantizer)):
                module.power.set_exponent(module.power.exponent + old[name].bits - module.bits)
            elif isinstance(module, PolarGrid):
                lost = found.bits.a_phase - wanted.bits.a_phase
                module.phase_power.set_exponent(module.phase_power.exponent + lost)
            elif isinstance(module, QuantLinear):
                weight, bias = old[name].weight_bits - module.weight_bits, old[name].bias_bits - module.bias_bits
                module.weight_power.set_exponent(module.weight_power.exponent + weight)
                module.bias_power.set_exponent(module.bias_power.exponent + bias)
        u_quantizer = model.quantizers["u"]
        for block in model.blocks:
            _coarse_enough(block.ssm, u_quantizer)
            u_quantizer = block.quantizers["u"]
    return settle_precision(model.eval())


def _coarse_enough(ssm: QuantS4D, u_quantizer: Quantizer) -> None:
    for quantizer, finest in zip((ssm.b_quant, ssm.d_quant), finest_exponents(ssm, u_quantizer), strict=True):
        shape = tuple(quantizer.power.scale.shape)
        quantizer.power.set_exponent(quantizer.power.exponent.clip(finest if finest.shape == shape else finest.min()))
