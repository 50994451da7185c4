"""Read-outs fitted again after rounding: C and D of every S4D layer, then the layers that give the output.

What a layer reads and its states are what the quantised network computes; the target is what the float network gives there.
The fit is a least-squares problem with one solution (see ``ssmq_brevitas.readouts``).
"""

from __future__ import annotations

from types import SimpleNamespace

import torch
from torch import fx, nn

from ..errors import SsmqError
from ..fitting import fit_linear, fit_readout
from ..readouts import BATCH, regressors, ridge
from .operations import Operation, operations
from .quantize import float_type, quantized_of, settle
from .widths import Widths


def reconstruct(network: fx.GraphModule, floating: nn.Module, batch: torch.Tensor) -> fx.GraphModule:
    """Fit a post-training quantised ``network`` to ``floating`` on sequences ``batch`` ``(B, T, C)``; in place.

    ``floating`` is the module that was quantised. Returns ``network``, in the float type that its sums need. Raises SsmqError
    when one cannot be exact, or for a batch of another shape.
    """
    about = quantized_of(network)
    if batch.dim() != 3 or batch.shape[1:] != (about.steps, about.channels) or not len(batch):
        wanted = f"(B, {about.steps}, {about.channels})"
        raise SsmqError(f"the batch must be {wanted}, as the calibration batch was, not {tuple(batch.shape)}")
    found = operations(network, about.example)
    floating = floating.eval()
    with torch.no_grad():
        for operation in found:
            if operation.kind == "s4d":
                _fit_layer(network, floating, operation, batch)
                fit_readout(operation.module, _feeding(network, operation))
        settle(network)
        for operation in _outputs(found):
            _fit_output(network, floating, operation, batch)
    return settle(network)


def _feeding(network: fx.GraphModule, operation: Operation) -> SimpleNamespace:
    about = quantized_of(network)
    return SimpleNamespace(format=Widths(operations(network, about.example), about.steps).format(operation.inputs[0]))


def _outputs(found: list[Operation]) -> list[Operation]:
    """The linear layer whose result is the network's, if one is."""
    known = {operation.name: operation for operation in found}
    last = known[found[-1].inputs[0]]
    while last.kind in ("same", "last"):
        last = known[last.inputs[0]]
    return [last] if last.kind == "linear" else []


def _fit_layer(network: fx.GraphModule, floating: nn.Module, operation: Operation, batch: torch.Tensor) -> None:
    ssm = operation.module
    modes, size = ssm.modes, 2 * ssm.modes + 1
    gram = torch.zeros(ssm.heads, size, size, dtype=torch.float64)
    moment = torch.zeros(ssm.heads, size, dtype=torch.float64)
    for some in batch.split(BATCH):
        _, target = _seen(floating, operation.path, some)
        u, _ = _seen(network, operation.path, some)
        told = regressors(ssm, u)
        gram += torch.einsum("hsi,hsj->hij", told, told).double()
        moment += torch.einsum("hsi,hs->hi", told, target.flatten(0, 1).T.to(told.dtype)).double()
    before = torch.cat([ssm.c[..., 0], -ssm.c[..., 1], ssm.d[:, None]], dim=1).double()
    fitted = ridge(gram, moment[..., None], before[..., None])[..., 0].to(ssm.c.dtype)
    ssm.c.data = torch.stack([fitted[:, :modes], -fitted[:, modes:-1]], dim=-1).contiguous()
    ssm.d.data = fitted[:, -1].contiguous()


def _fit_output(network: fx.GraphModule, floating: nn.Module, operation: Operation, batch: torch.Tensor) -> None:
    layer, path = operation.module, operation.path
    told, wanted = [], []
    for some in batch.split(BATCH):
        told.append(_rows(_seen(network, path, some)[0], operation))
        wanted.append(_rows(_seen(floating, path, some)[1], operation))
    regressor, target = torch.cat(told), torch.cat(wanted)
    bias = layer.bias is not None
    if bias:
        regressor = torch.cat([regressor, torch.ones(len(regressor), 1, dtype=torch.float64)], dim=1)
    before = layer.weight.flatten(1).double()
    before = torch.cat([before, layer.bias[:, None].double()], dim=1) if bias else before
    fitted = ridge(regressor.T @ regressor, regressor.T @ target, before.T).T.to(layer.weight.dtype)
    weight = (fitted[:, :-1] if bias else fitted).reshape(layer.weight.shape).contiguous()
    fit_linear(layer, weight, fitted[:, -1].contiguous() if bias else None, _feeding(network, operation))


def _rows(values: torch.Tensor, operation: Operation) -> torch.Tensor:
    """Channels last, a step or sequence a row."""
    return (values.transpose(1, 2) if operation.axes == "BCT" else values).flatten(0, -2).double()


def _seen(network: nn.Module, path: str, batch: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Input and output of the submodule at ``path``."""
    kept: list[tuple[torch.Tensor, torch.Tensor]] = []
    hook = network.get_submodule(path).register_forward_hook(lambda _, inputs, output: kept.append((inputs[0], output)))
    try:
        network(batch.to(float_type(network)))
    finally:
        hook.remove()
    return kept[0]
