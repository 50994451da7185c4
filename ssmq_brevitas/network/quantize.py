"""From a float module to a quantised one: post-training quantisation, and the starting point of training.

Exponents are chosen once, from whole-sequence statistics, and stay: training moves the parameters on fixed grids.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import fx, nn

from ..config import Scheme
from ..errors import SsmqError
from ..fitting import fit_layer, fit_linear
from ..formats import fit_exponent
from ..input_format import InputFormat
from ..quant_linear import OnGrids
from ..quant_s4d import QuantS4D
from ..quantizers import Quantizer
from ..s4d import S4D
from .calibrate import Calibration, observed, refuse_batch
from .names import Names
from .operations import operations
from .replace import replace
from .structure import quantized_of, settle, structure
from .widths import Widths


def quantize(
    module: nn.Module, scheme: Scheme, batch: torch.Tensor | Calibration, input_format: InputFormat | None = None
) -> fx.GraphModule:
    """``module`` quantised by ``scheme``, its exponents from the sequences of ``batch`` ``(B, T, C)`` float.

    The result takes and gives what ``module`` does, has its attribute names and parameters, and a quantiser wherever the
    integer contract needs one (``NAME_quant``). It is in evaluation mode and in the narrowest float type in which every sum is
    exact. ``module`` stays as it was. Sequences keep the length of the batch.

    ``input_format`` is that of inputs that are codes: values are codes times 2**exponent, and the graphs read the codes as they
    are. Without it a format is fitted to the batch. Instead of a batch a ``Calibration`` of ``module`` is taken.

    Raises SsmqError naming the submodule or tensor: one that cannot be traced or has no exact integer form, parameters or a
    batch that are no finite numbers, a pattern of the scheme that fits nothing, a sum that cannot be exact.

    >>> import torch
    >>> from ssmq_brevitas import S4D, Scheme, quantize
    >>> network = torch.nn.Sequential(torch.nn.Linear(1, 2), S4D(2, modes=2), torch.nn.Linear(2, 3)).eval()
    >>> x = torch.randn(8, 20, 1)
    >>> quantized = quantize(network, Scheme(tensors={"1.c": 6}), x)
    >>> quantized(x).shape
    torch.Size([8, 20, 3])
    >>> [name for name, _ in quantized.named_children()]
    ['0', '1', '2', 'input_quant', '0_quant', '1_quant']
    """
    if not isinstance(batch, Calibration):
        refuse_batch(batch, "the calibration batch")
        batch = batch.detach().float()
        signed = bool(batch.min() < 0) if input_format is None else input_format.signed
        network, names = structure(module, scheme, batch, signed, input_format)
        found = observed(network, batch)
    else:
        found = batch
        network, names = structure(module, scheme, found.example, found.input_signed, found.input_format)
        if found.samples.keys() != {place.path for place in quantized_of(network).places}:
            raise SsmqError("the calibration is of another network: give one that calibrate made of this module")
    with torch.no_grad():
        replaced = replace(network, operations(network, found.example), names)
        names.refuse_unused()
        _set_exponents(network, found)
        _fit_layers(network, replaced, found, names)
    return settle(network)


def _set_exponents(network: fx.GraphModule, calibration: Calibration) -> None:
    about = quantized_of(network)
    assert about.scheme is not None
    for place in about.places:
        quantizer = network.get_submodule(place.path)
        assert isinstance(quantizer, Quantizer)
        exponent: np.ndarray | int
        if place.role == "input" and about.input_format is not None:
            exponent = about.input_format.kept(quantizer.bits).exponent
        elif place.unit:
            exponent = -quantizer.bits
        else:
            samples = calibration.samples[place.path][None]
            exponent = fit_exponent(samples, quantizer.bits, place.signed, about.scheme.activation_range)[0]
        quantizer.power.set_exponent(exponent)


def _fit_layers(network: fx.GraphModule, replaced: dict[str, nn.Module], calibration: Calibration, names: Names) -> None:
    """Give every quantised layer the float layer's parameters and the exponents that suit them and their input."""
    about = quantized_of(network)
    found = operations(network, about.example)
    widths = Widths(found, about.steps)
    done: set[str] = set()
    for operation in found:
        source = replaced.get(operation.path)
        if not isinstance(source, (nn.Linear, nn.Conv1d, S4D)) or operation.path in done:
            continue
        done.add(operation.path)
        feeding = widths.format(operation.inputs[0])
        if not isinstance(source, S4D):
            bias = None if source.bias is None else source.bias.detach().clone()
            fit_linear(operation.layer(OnGrids), source.weight.detach().clone(), bias, feeding)
        else:
            states = calibration.states[operation.path]
            fit_layer(operation.layer(QuantS4D), source, names.layer(operation.path), feeding, states)
