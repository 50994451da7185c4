"""What the checker says of a graph by one rule."""

from __future__ import annotations

import onnx
from ssmq_export.checks import check_model


def said(model: onnx.ModelProto, rule: str) -> list[tuple[str, str, str]]:
    """(node, tensor, message) of every finding of ``rule``."""
    return [(f.node, f.tensor, f.message) for f in check_model(model) if f.rule == rule]


def severities(model: onnx.ModelProto, rule: str) -> set[str]:
    return {f.severity for f in check_model(model) if f.rule == rule}
