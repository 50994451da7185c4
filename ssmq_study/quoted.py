"""Scores as they are quoted: a quantised model's is measured on its integer graph."""

from __future__ import annotations

import torch
from ssmq_brevitas.data import SequenceData
from ssmq_brevitas.model import Model
from ssmq_brevitas.score import Score, Tally, score
from ssmq_export.from_network import step_graph
from ssmq_export.integer import IntegerModel
from ssmq_export.lowering import lower


def score_on_integers(model: Model, x: torch.Tensor, y: torch.Tensor) -> Score:
    """The score of a quantised model's integer graph on codes ``x`` ``(n, T)`` or ``(n, T, C)`` and what they should give."""
    integers = IntegerModel(lower(step_graph(model.graph)))
    outputs = integers.values(integers.forward(x.numpy()))
    tally = Tally(model.task)
    tally.add(outputs, y.numpy())
    return tally.score()


def quoted_score(model: Model, data: SequenceData) -> Score:
    """The score of ``model``, float or quantised, on ``data``'s test sequences."""
    return (score_on_integers if model.quantized else score)(model, data.x_test, data.y_test)
