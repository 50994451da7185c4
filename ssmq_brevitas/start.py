"""Where quantisation-aware training starts: from a float model, or from one that was trained at more bits."""

from __future__ import annotations

import torch

from .config import Config, with_input
from .errors import SsmqError
from .model import Model
from .post_training import post_training
from .prune import pruned
from .requantize import requantize


def with_its_input(config: Config, found: Config) -> Config:
    """``config`` for inputs of the format that the model made by ``found`` takes, if it names none."""
    return with_input(config, config.model.input or found.model.input)


def refuse_other_task(found: Config, config: Config) -> None:
    """Raise SsmqError if a model made by ``found`` tells something else than ``config`` says."""
    if found.task != config.task:
        raise SsmqError(
            f"{found.name} is a model of another task ({found.task}) than {config.name} ({config.task}): give the preset "
            f"it was made with"
        )


def quantized_start(model: Model, config: Config, x_train: torch.Tensor) -> Model:
    """``model`` quantised by ``config.scheme``; calibrated on ``x_train`` ``(n, T)`` if it is float.

    A float model of more modes a head than ``config`` has loses its weakest. Raises SsmqError for any other difference
    of architecture.
    """
    found, modes = model.config, config.model.modes
    fewer = not model.quantized and found.model.modes > modes
    if found.model.model_copy(update={"modes": modes} if fewer else {}) != config.model:
        raise SsmqError(
            f"the model to start from ({found.name}) has not the architecture of {config.name}: give the preset it was "
            f"made with; only modes may be fewer, from a float model"
        )
    refuse_other_task(found, config)
    if model.quantized:
        return requantize(model, config)
    return post_training(pruned(model, modes) if fewer else model, config, x_train)
