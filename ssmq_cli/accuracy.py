"""Test accuracy as it is quoted: a quantised model's is measured on its integer graph."""

from __future__ import annotations


def correct_answers(model, data) -> int:
    """How many of ``data``'s test sequences ``model``, float or quantised, classifies correctly."""
    from ssmq_brevitas.train import accuracy
    from ssmq_export.from_model import describe
    from ssmq_export.integer import IntegerModel
    from ssmq_export.lower import lower
    from ssmq_export.step_graph import step_graph

    if not model.quantised:
        return round(accuracy(model, data.x_test, data.y_test) * len(data.y_test))
    logits = IntegerModel(lower(step_graph(describe(model)))).forward(data.x_test.numpy())
    return int((logits.argmax(axis=1) == data.y_test.numpy()).sum())


def test_accuracy(model, data) -> float:
    """Share of ``data``'s test sequences that are classified correctly."""
    return correct_answers(model, data) / len(data.y_test)
