"""Layers by quantised layers of the same attribute path and, but for what S4D stores, the same parameters."""

from __future__ import annotations

from torch import fx, nn

from ..norm import PositiveBatchNorm, QuantBatchNorm1d
from ..quant_linear import OnGrids, QuantConv1d, QuantLinear
from ..quant_s4d import QuantS4D
from ..s4d import S4D
from .names import Names
from .operations import Operation


def replace(network: fx.GraphModule, operations: list[Operation], names: Names) -> dict[str, nn.Module]:
    """Put quantised layers, their parameters and exponents unset, into ``network``; what was there, by path."""
    replaced: dict[str, nn.Module] = {}
    for operation in operations:
        found = operation.module
        if operation.path in replaced or found is None:
            continue
        new = _replacement(operation, names)
        if new is not None:
            replaced[operation.path] = found
            network.set_submodule(operation.path, new.train(found.training))
    return replaced


def _replacement(operation: Operation, names: Names) -> nn.Module | None:
    path, found = operation.path, operation.module
    if isinstance(found, (nn.Linear, nn.Conv1d)) and not isinstance(found, OnGrids):
        kind = QuantConv1d if isinstance(found, nn.Conv1d) else QuantLinear
        outputs, inputs = found.weight.shape[:2]
        return kind(inputs, outputs, names.weight(path), None if found.bias is None else names.bias(path))
    if isinstance(found, S4D):
        return QuantS4D.from_scheme(found.heads, found.modes, names.layer(path))
    if isinstance(found, PositiveBatchNorm):
        new = PositiveBatchNorm(len(found.weight), names.norm(path), found.momentum, found.eps)
        new.load_state_dict(found.state_dict())
        return new
    if isinstance(found, nn.BatchNorm1d) and not isinstance(found, QuantBatchNorm1d):
        return QuantBatchNorm1d(found, names.norm(path))
    return None
