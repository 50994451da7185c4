"""Calibration: what every tensor of a float model looks like over whole sequences."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from .errors import SsmqError
from .model import Classifier
from .s4d import S4D

SAMPLES_A_BATCH = 200_000
STATE_STEPS = 24


class Observer(nn.Module):
    """Keeps an even sub-sample of what passes, and the extremes in full."""

    def __init__(self):
        super().__init__()
        self.samples: list[np.ndarray] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        flat = x.detach().flatten()
        stride = max(1, flat.numel() // SAMPLES_A_BATCH)
        while math.gcd(stride, x.shape[-1]) > 1:  # else only some of the channels would be seen
            stride += 1
        self.samples.append(torch.cat([flat[::stride], flat.aminmax().min[None], flat.aminmax().max[None]]).numpy())
        return x


@dataclass(frozen=True)
class StateStatistics:
    """``largest`` ``(H, N)``: largest |re| or |im| of each state; ``samples`` ``(H, N, S)`` of both parts."""

    largest: np.ndarray
    samples: np.ndarray


@dataclass(frozen=True)
class Calibration:
    """Samples of what every quantiser gets, by its full name (``u``, ``0.y`` ...), and the states of every layer."""

    samples: dict[str, np.ndarray]
    states: list[StateStatistics]


def state_statistics(s4d: S4D, u: torch.Tensor) -> StateStatistics:
    """States of a float layer for the input ``u`` ``(B, T, H)``, from whole sequences."""
    a, b, _ = (value.detach() for value in s4d.discrete())
    x = torch.zeros(u.shape[0], *a.shape, dtype=a.dtype)
    largest = torch.zeros(a.shape)
    kept = []
    every = max(1, u.shape[1] // STATE_STEPS)
    for t in range(u.shape[1]):
        x = a * x + b * u[:, t, :, None]
        parts = torch.view_as_real(x)  # (B H N 2)
        largest = torch.maximum(largest, parts.abs().amax(dim=(0, 3)))
        if t % every == every - 1 or t == u.shape[1] - 1:
            kept.append(parts)
    samples = torch.stack(kept).permute(2, 3, 0, 1, 4).flatten(2)  # (H N S)
    return StateStatistics(largest.numpy(), samples.numpy())


def calibrate(model: Classifier, codes: torch.Tensor) -> Calibration:
    """Run a float model over ``codes`` ``(n, T)`` and collect statistics; the model is left as it was."""
    places = model.quantizer_names()
    inputs: list[torch.Tensor] = []
    hooks = [
        block.ssm.register_forward_pre_hook(lambda module, arguments: inputs.append(arguments[0].detach()))
        for block in model.blocks
    ]
    was_training = model.training
    observers = {name: Observer() for name in places}
    before = {name: owner[name.rsplit(".", 1)[-1]] for name, owner in places.items()}
    try:
        for name, owner in places.items():
            owner[name.rsplit(".", 1)[-1]] = observers[name]
        model.eval()
        with torch.no_grad():
            model(codes)
            states = [state_statistics(block.ssm, u) for block, u in zip(model.blocks, inputs, strict=True)]
    finally:
        for hook in hooks:
            hook.remove()
        for name, owner in places.items():
            owner[name.rsplit(".", 1)[-1]] = before[name]
        model.train(was_training)
    samples = {name: np.concatenate(observer.samples) for name, observer in observers.items()}
    seen = samples | {f"the states of layer {k}": found.samples for k, found in enumerate(states)}
    wild = next((name for name, values in seen.items() if not np.isfinite(values).all()), None)
    if wild is not None:
        raise SsmqError(f"the float model's values at {wild} are not finite: its weights are too large to be quantised")
    return Calibration(samples, states)
