"""Bytes of a network: parameters, state and total (see ``ssmq_brevitas.storage`` for what is counted)."""

from __future__ import annotations

import math

import torch
from torch import fx, nn

from ..norm import PositiveBatchNorm, QuantBatchNorm1d
from ..quant_linear import OnGrids
from ..quant_s4d import QuantS4D
from ..quantizers import Quantizer
from ..s4d import S4D
from ..storage import EXPONENT_BITS, Footprint, linear_bits, norm_bits, s4d_bits
from .operations import Operation, operations
from .spread import spread
from .structure import quantized_of
from .trace import trace
from .widths import Widths


def footprint(network: fx.GraphModule) -> Footprint:
    """Bytes of a quantised network: ``parameters``, ``state``, ``total`` and ``fp32_total``, the same count in float32.

    Every number counts at its own width, codes not rounded up to whole bytes. Raises SsmqError for a float network.

    >>> import torch
    >>> from ssmq_brevitas import S4D, Scheme, footprint, quantize
    >>> network = torch.nn.Sequential(torch.nn.Linear(1, 2), S4D(2, modes=2), torch.nn.Linear(2, 3)).eval()
    >>> x = torch.randn(8, 20, 1)
    >>> found = footprint(quantize(network, Scheme(bits={"x": 6}), x))
    >>> found.state  # 2 heads, 2 modes, re and im, 6 bits each
    6.0
    >>> found.total < found.fp32_total / 3
    True
    """
    about = quantized_of(network)
    found = operations(network, about.example)
    widths = Widths(found, about.steps)
    bits = state = 0
    for operation in _once(found):
        module = operation.module
        if operation.kind == "linear":
            bits += linear_bits(operation.layer(OnGrids))
        elif isinstance(module, (PositiveBatchNorm, QuantBatchNorm1d)):
            bits += norm_bits(module)
        elif isinstance(module, QuantS4D):
            bits += s4d_bits(module)
            state += 2 * module.heads * module.modes * module.state.bits
        elif isinstance(module, Quantizer):
            bits += EXPONENT_BITS
    for operation in found:
        if operation.kind == "sum":
            state += operation.channels * (widths.format(operation.inputs[0]).bits + math.ceil(math.log2(about.steps)))
    numbers, kept = _numbers(found)
    return Footprint(bits / 8, state / 8, (bits + state) / 8, 4.0 * (numbers + kept))


def float_footprint(module: nn.Module, example: torch.Tensor) -> Footprint:
    """Count a float ``module`` for inputs of the shape of ``example`` ``(B, T, C)``, each number in 4 bytes."""
    numbers, kept = _numbers(operations(spread(trace(module), example.shape[1]), example))
    total = 4.0 * (numbers + kept)
    return Footprint(4.0 * numbers, 4.0 * kept, total, total)


def _once(found: list[Operation]) -> list[Operation]:
    return list({operation.path: operation for operation in found if operation.module is not None}.values())


def _numbers(found: list[Operation]) -> tuple[int, int]:
    """Numbers of the float network as the paper counts them, A, B, C (complex), D, Δ, linear layers, norms; and those of its
    states and running sums."""
    numbers = kept = 0
    for operation in _once(found):
        module = operation.module
        if isinstance(module, (nn.Linear, nn.Conv1d)):
            numbers += module.weight.numel() + (0 if module.bias is None else module.bias.numel())
        elif operation.kind == "norm":
            numbers += 2 * operation.channels
        elif isinstance(module, (S4D, QuantS4D)):
            numbers += 6 * module.heads * module.modes + 2 * module.heads
            kept += 2 * module.heads * module.modes
    return numbers, kept + sum(operation.channels for operation in found if operation.kind == "sum")
