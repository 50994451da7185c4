"""Accuracy as it is quoted: a quantised model's is measured on its integer graph."""

from __future__ import annotations

import torch
from ssmq_brevitas.train import accuracy
from ssmq_export.from_model import describe
from ssmq_export.graphs.step_graph import step_graph
from ssmq_export.integer import IntegerModel
from ssmq_export.lower import lower


def correct_on_integers(model, x: torch.Tensor, y: torch.Tensor) -> int:
    """Sequences of ``x`` uint8 ``(n, T)`` or ``(n, T, C)`` that a quantised model's integer graph classifies as ``y`` says."""
    logits = IntegerModel(lower(step_graph(describe(model)))).forward(x.numpy())
    return int((logits.argmax(axis=1) == y.numpy()).sum())


def quoted_accuracy(model, data) -> float:
    """Share of ``data``'s test sequences that ``model``, float or quantised, classifies correctly."""
    if not model.quantized:
        return accuracy(model, data.x_test, data.y_test)
    return correct_on_integers(model, data.x_test, data.y_test) / len(data.y_test)
