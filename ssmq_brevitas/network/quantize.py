"""From a float module to a quantised one: post-training quantisation, and the starting point of training.

Exponents are chosen once, from whole-sequence statistics, and stay: training moves the parameters on fixed grids.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import torch
from torch import fx, nn

from ..bounds import FLOAT32_BITS, refuse_wide
from ..calibration import Observer, state_statistics
from ..config import Scheme
from ..errors import SsmqError
from ..fitting import fit_layer, fit_linear
from ..formats import fit_exponent
from .insert import Place, insert
from .names import Names
from .operations import operations
from .replace import replace
from .spread import spread
from .trace import refuse_unsupported, trace
from .widths import Widths

# Where a quantised module keeps what it was made by; ``torch.fx`` copies it with the module.
META = "ssmq"


@dataclass(frozen=True)
class Quantized:
    """What a quantised module was made by: its scheme, the shape (T, C) and sign of its input, its quantisers.

    One that came quantised has no scheme.
    """

    scheme: Scheme | None
    steps: int
    channels: int
    input_signed: bool
    places: tuple[Place, ...]

    @property
    def example(self) -> torch.Tensor:
        return example_of(self.steps, self.channels)


def example_of(steps: int, channels: int) -> torch.Tensor:
    """A batch of the shape of an input, of which only the shape is read: it takes no memory, however long."""
    return torch.zeros(()).expand(1, steps, channels)


def quantized_of(module: nn.Module) -> Quantized:
    """What ``quantize`` noted of its result. Raises SsmqError for any other module."""
    found = getattr(module, "meta", {}).get(META) if isinstance(module, fx.GraphModule) else None
    if found is None:
        raise SsmqError("the network is not quantised: give it to ssmq_brevitas.quantize first")
    return found


def structure(module: nn.Module, scheme: Scheme, example: torch.Tensor, input_signed: bool) -> tuple[fx.GraphModule, Names]:
    """A copy of ``module`` as a graph, with its quantisers in their places and float layers. Raises SsmqError."""
    refuse_unsupported(module)
    network = spread(trace(copy.deepcopy(module).float().eval()), example.shape[1])
    names = Names(scheme, operations(network, example))
    places = insert(network, example, input_signed, names.quantizer)
    about = Quantized(scheme, example.shape[1], example.shape[2], input_signed, tuple(places))
    network.meta[META] = about
    return network, names


def float_type(network: fx.GraphModule) -> torch.dtype:
    """What a quantised ``network`` computes in. Not every one has parameters, but each has a quantiser."""
    return next(value.dtype for value in (*network.parameters(), *network.buffers()) if value.is_floating_point())


def quantize(module: nn.Module, scheme: Scheme, batch: torch.Tensor) -> fx.GraphModule:
    """``module`` quantised by ``scheme``, its exponents from the sequences of ``batch`` ``(B, T, C)`` float.

    The result takes and gives what ``module`` does, has its attribute names and parameters, and a quantiser wherever the
    integer contract needs one (``NAME_quant``). It is in evaluation mode and in the narrowest float type in which every sum is
    exact. ``module`` stays as it was. Sequences keep the length of the batch.

    Raises SsmqError naming the submodule or tensor: one that cannot be traced or has no exact integer form, parameters or a
    batch that are no finite numbers, a pattern of the scheme that fits nothing, a sum that cannot be exact.
    """
    refuse_batch(batch, "the calibration batch")
    batch = batch.detach().float()
    network, names = structure(module, scheme, batch, bool(batch.min() < 0))
    with torch.no_grad():
        samples, inputs = _observe(network, batch)
        replaced = replace(network, operations(network, batch), names)
        names.refuse_unused()
        _set_exponents(network, samples)
        _fit_layers(network, replaced, inputs, names)
    return settle(network)


def settle(network: fx.GraphModule) -> fx.GraphModule:
    """``network`` in the narrowest float type in which every sum is exact. Raises SsmqError where there is none."""
    about = quantized_of(network)
    widths = Widths(operations(network, about.example), about.steps).accumulators()
    refuse_wide(widths)
    return network.double() if max(widths.values(), default=0) > FLOAT32_BITS else network.float()


def refuse_batch(batch: torch.Tensor, name: str) -> None:
    """Raise SsmqError unless ``batch`` is a tensor (B, T, C) of finite numbers."""
    if not isinstance(batch, torch.Tensor) or batch.dim() != 3 or not batch.numel():
        shape = tuple(batch.shape) if isinstance(batch, torch.Tensor) else type(batch).__name__
        raise SsmqError(f"{name} must be a tensor (B, T, C) of sequences and not empty, this is {shape}")
    if not torch.isfinite(batch).all():
        raise SsmqError(f"{name} holds values that are no finite numbers")


class _Observing(fx.Interpreter):
    """Runs the float network; quantisers only look, and what S4D layers read is kept."""

    def __init__(self, network: fx.GraphModule, watched: dict[str, Observer], layers: set[str]):
        super().__init__(network)
        self.watched, self.layers = watched, layers
        self.inputs: dict[str, list[torch.Tensor]] = {}

    def call_module(self, target, arguments, keywords):
        if target in self.watched:
            return self.watched[target](*arguments)
        if target in self.layers:
            self.inputs.setdefault(target, []).append(arguments[0].detach())
        return super().call_module(target, arguments, keywords)


def _observe(network: fx.GraphModule, batch: torch.Tensor) -> tuple[dict[str, np.ndarray], dict[str, torch.Tensor]]:
    """Samples of what every quantiser gets, and the inputs of the S4D layers, by path."""
    watched = {place.path: Observer() for place in quantized_of(network).places}
    layers = {operation.path for operation in operations(network, batch) if operation.kind == "s4d"}
    run = _Observing(network, watched, layers)
    try:
        run.run(batch)
    except RuntimeError as error:  # of torch, for shapes that do not fit
        raise SsmqError(f"the network cannot run the calibration batch {tuple(batch.shape)}: {error}") from error
    samples = {path: np.concatenate(observer.samples) for path, observer in watched.items()}
    wild = next((path for path, values in samples.items() if not np.isfinite(values).all()), None)
    if wild is not None:
        raise SsmqError(f"{wild}: the float network's values here are not finite: its weights are too large to be quantised")
    # A layer that is called twice has the states of both.
    return samples, {path: torch.cat(inputs) for path, inputs in run.inputs.items()}


def _set_exponents(network: fx.GraphModule, samples: dict[str, np.ndarray]) -> None:
    about = quantized_of(network)
    for place in about.places:
        quantizer = network.get_submodule(place.path)
        fitted = fit_exponent(samples[place.path][None], quantizer.bits, place.signed, about.scheme.activation_range)[0]
        quantizer.power.set_exponent(-quantizer.bits if place.unit else fitted)


def _fit_layers(network: fx.GraphModule, replaced: dict[str, nn.Module], inputs: dict[str, torch.Tensor], names: Names) -> None:
    """Give every quantised layer the float layer's parameters and the exponents that suit them and their input."""
    about = quantized_of(network)
    found = operations(network, about.example)
    widths = Widths(found, about.steps)
    done: set[str] = set()
    for operation in found:
        source = replaced.get(operation.path)
        if source is None or operation.path in done or operation.kind not in ("linear", "s4d"):
            continue
        done.add(operation.path)
        feeding = SimpleNamespace(format=widths.format(operation.inputs[0]))
        if operation.kind == "linear":
            bias = None if source.bias is None else source.bias.detach().clone()
            fit_linear(operation.module, source.weight.detach().clone(), bias, feeding)
        else:
            states = state_statistics(source, inputs[operation.path])
            fit_layer(operation.module, source, names.layer(operation.path), feeding, states)
