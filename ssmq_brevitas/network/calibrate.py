"""Calibration: what every tensor of a float network looks like over whole sequences."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import fx, nn

from ..calibration import Observer, StateStatistics, state_statistics
from ..config import Scheme
from ..errors import SsmqError
from ..input_format import InputFormat
from ..s4d import S4D
from .operations import operations
from .structure import example_of, quantized_of, structure


@dataclass(frozen=True)
class Calibration:
    """What a float network does with whole sequences; any number of schemes can be fitted to it.

    ``samples`` ``(n,)``: of what every quantiser is to get, by its path; ``states``: those of every S4D layer by its path.
    Sequences are ``(steps, channels)``. ``input_format`` is the format of inputs that are codes.
    """

    samples: dict[str, np.ndarray]
    states: dict[str, StateStatistics]
    steps: int
    channels: int
    input_signed: bool
    input_format: InputFormat | None

    @property
    def example(self) -> torch.Tensor:
        return example_of(self.steps, self.channels)


def calibrate(module: nn.Module, batch: torch.Tensor, input_format: InputFormat | None = None) -> Calibration:
    """Run the float ``module`` over the sequences ``batch`` ``(B, T, C)`` and keep what ``quantize`` has to know of it.

    For several schemes of one module; for one, ``quantize`` takes the batch itself. ``input_format`` is that of a
    batch of codes (their values are given, code times 2**exponent); without it a format is fitted to the values. ``module``
    stays as it was.

    Raises SsmqError as ``quantize`` does.

    >>> import torch
    >>> from ssmq_brevitas import S4D, Scheme, calibrate, footprint, quantize
    >>> network = torch.nn.Sequential(torch.nn.Linear(1, 2), S4D(2, modes=2), torch.nn.Linear(2, 3)).eval()
    >>> x = torch.randn(8, 20, 1)
    >>> seen = calibrate(network, x)
    >>> narrow, wide = (footprint(quantize(network, Scheme(tensors={"1.c": bits}), seen)) for bits in (4, 8))
    >>> wide.parameters - narrow.parameters  # bytes: C is 2 x 2 complex numbers, 4 bits less each part
    4.0
    """
    refuse_batch(batch, "the calibration batch")
    batch = batch.detach().float()
    signed = bool(batch.min() < 0) if input_format is None else input_format.signed
    return observed(structure(module, Scheme(), batch, signed, input_format)[0], batch)


def observed(network: fx.GraphModule, batch: torch.Tensor) -> Calibration:
    """Calibrate a network that has its quantisers in their places and float layers still."""
    about = quantized_of(network)
    watched = {place.path: Observer() for place in about.places}
    layers = {operation.path: operation.layer(S4D) for operation in operations(network, batch) if operation.kind == "s4d"}
    run = _Observing(network, watched, layers.keys())
    with torch.no_grad():
        try:
            run.run(batch)
        except Exception as error:  # of torch, for what a call is given that has no meaning
            raise SsmqError(f"the network cannot run the calibration batch {tuple(batch.shape)}: {error}") from error
        samples = {path: np.concatenate(observer.samples) for path, observer in watched.items()}
        _refuse_wild(samples)
        # A layer that is called twice has the states of both.
        states = {
            path: state_statistics(*layers[path].discrete()[:2], torch.cat(inputs)) for path, inputs in run.inputs.items()
        }
    _refuse_wild({f"the states of {path}": found.samples for path, found in states.items()})
    return Calibration(samples, states, about.steps, about.channels, about.input_signed, about.input_format)


def _refuse_wild(seen: dict[str, np.ndarray]) -> None:
    wild = next((name for name, values in seen.items() if not np.isfinite(values).all()), None)
    if wild is not None:
        raise SsmqError(f"{wild}: the float network's values here are not finite: its weights are too large to be quantised")


def refuse_batch(batch: torch.Tensor, name: str) -> None:
    """Raise SsmqError unless ``batch`` is a tensor (B, T, C) of finite numbers."""
    if not isinstance(batch, torch.Tensor) or batch.dim() != 3 or not batch.numel():
        shape = tuple(batch.shape) if isinstance(batch, torch.Tensor) else type(batch).__name__
        raise SsmqError(f"{name} must be a tensor (B, T, C) of sequences and not empty, this is {shape}")
    if not torch.isfinite(batch).all():
        raise SsmqError(f"{name} holds values that are no finite numbers: look at what makes them")


class _Observing(fx.Interpreter):
    """Runs the float network; quantisers only look, and what S4D layers read is kept."""

    def __init__(self, network: fx.GraphModule, watched: dict[str, Observer], layers):
        super().__init__(network)
        self.extra_traceback = False
        self.watched, self.layers = watched, layers
        self.inputs: dict[str, list[torch.Tensor]] = {}

    def call_module(self, target, arguments, keywords):
        if target in self.watched:
            return self.watched[target](*arguments)
        if target in self.layers:
            self.inputs.setdefault(target, []).append(arguments[0].detach())
        return super().call_module(target, arguments, keywords)
