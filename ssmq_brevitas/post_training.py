"""From a float model to a quantised one without training: what training starts from too."""

from __future__ import annotations

import torch

from .config import Config
from .model import Model
from .network.calibrate import Calibration, calibrate
from .network.quantize import quantize
from .network.reconstruct import reconstruct

# Sequences that a decoder is fitted on; the layers before it see some of them.
FITTED = 2048
# Sequences that exponents are chosen on.
CALIBRATED = 256


def calibrated(floating: Model, x: torch.Tensor) -> Calibration:
    """What the codes ``x`` ``(n, T[, C])`` make of a float model."""
    return calibrate(floating.network.eval(), floating.values(x), floating.shape.input_format)


def quantized_by(floating: Model, config: Config, found: Calibration) -> Model:
    """``floating`` quantised by ``config.scheme``, in evaluation mode. Raises SsmqError where a sum cannot be exact."""
    return Model(quantize(floating.network, config.scheme, found), config)


def post_training(floating: Model, config: Config, x_train: torch.Tensor, images: int = CALIBRATED) -> Model:
    """Calibrate on the first ``images`` training sequences and quantise; nothing is trained."""
    return quantized_by(floating, config, calibrated(floating, x_train[:images]))


def fitted(model: Model, floating: Model, x_train: torch.Tensor) -> Model:
    """``model``, post-training quantised, with its read-outs fitted to ``floating`` (see ``network.reconstruct``); in place."""
    reconstruct(model.graph, floating.network, floating.values(x_train[:FITTED]))
    return model
