"""Attributes of nodes in foreign files, where a number, a text or a list may stand for another."""

from __future__ import annotations

import math

import onnx


def attribute(node: onnx.NodeProto, name: str, default=None):
    """An attribute's value, bytes as text."""
    for found in node.attribute:
        if found.name == name:
            try:
                value = onnx.helper.get_attribute_value(found)
            except ValueError:  # an attribute without a type
                return default
            if isinstance(value, bytes):
                return value.decode(errors="replace")
            return default if value is None else value
    return default


def text_attribute(node: onnx.NodeProto, name: str, default: str) -> str:
    """An attribute as text, whatever its type: foreign files hold lists and numbers where a name belongs."""
    return str(attribute(node, name, default))


def number_attribute(node: onnx.NodeProto, name: str, default: float) -> float:
    """An attribute as a number, NaN if it is none."""
    value = attribute(node, name, default)
    return float(value) if isinstance(value, (int, float)) else math.nan


def integer_attribute(node: onnx.NodeProto, name: str) -> int | None:
    """An attribute as an integer, None if it is absent or none."""
    value = attribute(node, name)
    return value if isinstance(value, int) else None


def integers_attribute(node: onnx.NodeProto, name: str) -> list[int] | None:
    """An attribute as a list of integers, None if it is absent or none."""
    value = attribute(node, name)
    return list(value) if isinstance(value, list) and all(isinstance(part, int) for part in value) else None
