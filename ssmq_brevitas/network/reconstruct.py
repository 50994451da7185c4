"""Read-outs fitted again after rounding: C and D of every S4D layer, then the layers that give the output.

What a layer reads and its states are what the quantised network computes; the target is what the float network gives there.
The fit is a least-squares problem with one solution (see ``ssmq_brevitas.readouts``).
"""

from __future__ import annotations

import copy

import torch
from torch import fx, nn

from ..errors import SsmqError
from ..fitting import fit_readout
from ..formats import Format
from ..quant_linear import OnGrids
from ..quant_s4d import QuantS4D
from ..readouts import BATCH, fit_rows, fit_states, seen
from ..s4d import S4D
from .calibrate import refuse_batch
from .operations import Kind, Operation, operations
from .structure import float_type, quantized_of, settle
from .widths import Widths

# A layer sees every step of a sequence: so many of them are enough.
LAYER_SEQUENCES = 256
# An output of every step has a row for each, all of which lie in the memory.
OUTPUT_ROWS = 2**17


def reconstruct(network: fx.GraphModule, floating: nn.Module, batch: torch.Tensor) -> fx.GraphModule:
    """Fit a post-training quantised ``network`` to ``floating`` on sequences ``batch`` ``(B, T, C)``; in place.

    ``floating`` is the module that was quantised. Returns ``network``, in the float type that its sums need. Raises SsmqError
    when one cannot be exact, for a batch of another shape, and for another module.

    >>> import torch
    >>> from ssmq_brevitas import S4D, Scheme, quantize, reconstruct
    >>> network = torch.nn.Sequential(torch.nn.Linear(1, 2), S4D(2, modes=2), torch.nn.Linear(2, 3)).eval()
    >>> x = torch.randn(8, 20, 1)
    >>> rough = quantize(network, Scheme(bits={"c": 3, "decoder": 3}), x)
    >>> before = (rough(x) - network(x)).square().mean()
    >>> fitted = reconstruct(rough, network, x)
    >>> bool((fitted(x) - network(x)).square().mean() < before)
    True
    """
    about = quantized_of(network)
    refuse_batch(batch, "the batch")
    if batch.shape[1:] != (about.steps, about.channels):
        wanted = f"(B, {about.steps}, {about.channels})"
        raise SsmqError(f"the batch must be {wanted}, as the calibration batch was, not {tuple(batch.shape)}")
    found = operations(network, about.example)
    widths = Widths(found, about.steps)
    _refuse_another(floating, found)
    floating = copy.deepcopy(floating).eval()
    with torch.no_grad():
        for operation in found:
            if operation.kind == "s4d":
                _fit_layer(network, floating, operation, batch[:LAYER_SEQUENCES])
                fit_readout(operation.layer(QuantS4D), widths.format(operation.inputs[0]))
        settle(network)
        for operation in _outputs(found):
            rows = min(LAYER_SEQUENCES, max(1, OUTPUT_ROWS // about.steps)) if operation.each_step else len(batch)
            feeding = widths.format(operation.inputs[0])
            _fit_output(network, floating, operation, batch[:rows], feeding)
    return settle(network)


def _refuse_another(floating: nn.Module, found: list[Operation]) -> None:
    """Raise SsmqError naming the layer that ``floating`` lacks, or has of another size."""
    layers = dict(floating.named_modules()) if isinstance(floating, nn.Module) else {}
    kinds: dict[Kind, tuple[tuple[type[nn.Module], ...], str]]
    kinds = {"s4d": ((S4D,), "c"), "linear": ((nn.Linear, nn.Conv1d), "weight")}
    for operation in found:
        if operation.kind in kinds:
            kind, name = kinds[operation.kind]
            layer, shape = layers.get(operation.path), operation.layer(nn.Module).get_parameter(name).shape
            if not isinstance(layer, kind) or layer.get_parameter(name).shape != shape:
                raise SsmqError(f"{operation.path}: is another layer in the float module: give the one that was quantised")


def _outputs(found: list[Operation]) -> list[Operation]:
    """The linear layer whose result is the network's, if one is."""
    known = {operation.name: operation for operation in found}
    last = known[found[-1].inputs[0]]
    while last.kind in ("same", "last"):
        last = known[last.inputs[0]]
    return [last] if last.kind == "linear" else []


def _fit_layer(network: fx.GraphModule, floating: nn.Module, operation: Operation, batch: torch.Tensor) -> None:
    path = operation.path
    pairs = ((_seen(network, path, some)[0], _seen(floating, path, some)[1]) for some in batch.split(BATCH))
    fit_states(operation.layer(QuantS4D), pairs)


def _fit_output(
    network: fx.GraphModule, floating: nn.Module, operation: Operation, batch: torch.Tensor, feeding: Format
) -> None:
    told, wanted = [], []
    for some in batch.split(16 * BATCH):
        told.append(_rows(_seen(network, operation.path, some)[0], operation))
        wanted.append(_rows(_seen(floating, operation.path, some)[1], operation))
    fit_rows(operation.layer(OnGrids), torch.cat(told), torch.cat(wanted), feeding)


def _rows(values: torch.Tensor, operation: Operation) -> torch.Tensor:
    """Channels last, a step or sequence a row."""
    return (values.transpose(1, 2) if operation.axes == "BCT" else values).flatten(0, -2).double()


def _seen(network: nn.Module, path: str, batch: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Input and output of the submodule at ``path``."""
    return seen(network.get_submodule(path), network, batch.to(float_type(network)))
