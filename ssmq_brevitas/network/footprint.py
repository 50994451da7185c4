"""Bytes of a quantised network: parameters, state and total (see ``ssmq_brevitas.storage`` for what is counted)."""

from __future__ import annotations

import math

from torch import fx

from ..quantizers import Quantizer
from ..storage import EXPONENT_BITS, Footprint, linear_bits, norm_bits, s4d_bits
from .operations import operations
from .quantize import quantized_of
from .widths import Widths


def footprint(network: fx.GraphModule) -> Footprint:
    """Count a quantised network. Raises SsmqError for a float one."""
    about = quantized_of(network)
    found = operations(network, about.example)
    widths = Widths(found, about.steps)
    bits = state = numbers = kept = 0
    for operation in {op.path: op for op in found if op.module is not None}.values():
        module = operation.module
        if operation.kind == "linear":
            bits += linear_bits(module)
            numbers += module.weight.numel() + (0 if module.bias is None else module.bias.numel())
        elif operation.kind == "norm":
            bits += norm_bits(module)
            numbers += 2 * operation.channels
        elif operation.kind == "s4d":
            bits += s4d_bits(module)
            numbers += 6 * module.heads * module.modes + 2 * module.heads
            state += 2 * module.heads * module.modes * module.state.bits
            kept += 2 * module.heads * module.modes
        elif isinstance(module, Quantizer):
            bits += EXPONENT_BITS
    for operation in found:
        if operation.kind == "sum":
            state += operation.channels * (widths.format(operation.inputs[0]).bits + math.ceil(math.log2(about.steps)))
            kept += operation.channels
    return Footprint(bits / 8, state / 8, (bits + state) / 8, 4.0 * (numbers + kept))
