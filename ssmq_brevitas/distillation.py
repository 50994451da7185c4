"""Distillation: a student also learns from the class probabilities of a float teacher, softened by a temperature.

Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network", arXiv 1503.02531, section 2.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F

from .model import Classifier

TEMPERATURE = 2.0


def distillation_loss(logits: torch.Tensor, y: torch.Tensor, teacher: Classifier, x: torch.Tensor, weight: float):
    """``(1 - weight)`` cross entropy with the labels ``y`` plus ``weight`` divergence from the teacher's answer to ``x``.

    ``logits`` ``(B, classes)`` are the student's. The temperature's square keeps both gradients of one size.
    """
    with torch.no_grad():
        taught = teacher(x).float()
    divergence = F.kl_div(
        F.log_softmax(logits / TEMPERATURE, dim=1),
        F.log_softmax(taught / TEMPERATURE, dim=1),
        reduction="batchmean",
        log_target=True,
    )
    return (1 - weight) * F.cross_entropy(logits, y) + weight * TEMPERATURE**2 * divergence
