"""From a quantised model to another scheme: staged lowering of widths, freezing and unfreezing Ā.

A tensor that loses bits keeps its range and loses its last places, so what was trained at more bits is the start at
fewer (Zhou et al., "DoReFa-Net", arXiv 1606.06160, train from wide to narrow in the same way).
"""

from __future__ import annotations

import torch

from .config import Config
from .errors import SsmqError
from .fitting import finest_exponents
from .formats import Format
from .model import Model
from .network.operations import operations
from .network.structure import quantized_of, settle
from .network.widths import Widths
from .parameterisations import PolarGrid
from .quant_linear import QuantLinear
from .quant_s4d import QuantS4D
from .quantizers import ParameterQuantizer, Quantizer

CARTESIAN = ("discrete", "frozen")


def requantize(trained: Model, config: Config) -> Model:
    """``trained`` on the grids of ``config.scheme``, in evaluation mode.

    Raises SsmqError if the schemes differ in more than widths and in whether Ā is frozen.
    """
    found, wanted = trained.config.scheme, config.scheme
    parameterisations = {found.parameterisation, wanted.parameterisation}
    changed = {"bits": wanted.bits, "tensors": wanted.tensors, "parameterisation": wanted.parameterisation}
    same = found.model_copy(update=changed) == wanted
    if not same or len(parameterisations - set(CARTESIAN)) + bool(parameterisations & set(CARTESIAN)) > 1:
        raise SsmqError(
            f"{config.name}: a quantised model can change its widths and freeze or unfreeze a discrete Ā, not its other "
            f"grids: start from the float model"
        )
    model = Model.empty(config)
    with torch.no_grad():
        model.load_state_dict(trained.state_dict())
        old = dict(trained.named_modules())
        for name, module in model.named_modules():
            if isinstance(module, (Quantizer, ParameterQuantizer)):
                module.power.set_exponent(module.power.exponent + old[name].bits - module.bits)
            elif isinstance(module, PolarGrid):
                lost = old[name].bits.a_phase - module.bits.a_phase
                module.phase_power.set_exponent(module.phase_power.exponent + lost)
            elif isinstance(module, QuantLinear):
                weight, bias = old[name].weight_bits - module.weight_bits, old[name].bias_bits - module.bias_bits
                module.weight_power.set_exponent(module.weight_power.exponent + weight)
                module.bias_power.set_exponent(module.bias_power.exponent + bias)
        about = quantized_of(model.network)
        every = operations(model.graph, about.example)
        widths = Widths(every, about.steps)
        for operation in every:
            if operation.kind == "s4d":
                _coarse_enough(operation.layer(QuantS4D), widths.format(operation.inputs[0]))
    settle(model.graph)
    return model.eval()


def _coarse_enough(ssm: QuantS4D, u: Format) -> None:
    for quantizer, finest in zip((ssm.b_quant, ssm.d_quant), finest_exponents(ssm, u), strict=True):
        shape = tuple(quantizer.power.scale.shape)
        quantizer.power.set_exponent(quantizer.power.exponent.clip(finest if finest.shape == shape else finest.min()))
