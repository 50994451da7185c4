"""Quant nodes: what a QONNX graph must keep to so that its lowering is exact."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...dataflow.attributes import attribute, text_attribute
from ..catalogue import Hit, rule
from ..tidy_view import TidyView


def _no_number(view: TidyView, name: str) -> bool:
    """Whether a tensor without numbers is this file's to name, not that of dangling, external or malformed data."""
    if view.array(name) is not None:
        return True  # text or complex
    return name in view.producers or name in view.inputs


@rule("quant-attributes", "error", "set signed and narrow (0 or 1)")
def quant_attributes(view: TidyView) -> Iterator[Hit]:
    """QONNX requires both; tools that guess them guess differently."""
    for node in view.quants:
        missing = [name for name in ("signed", "narrow") if attribute(node, name) is None]
        if missing:
            yield view.label(node), view.output(node), f"has no attribute {' and '.join(missing)}"


@rule("weight-quant-fork", "error", "give each consumer a Quant of its own (the initialiser may be shared)")
def weight_quant_fork(view: TidyView) -> Iterator[Hit]:
    """FINN folds a weight Quant into its one consumer; with two it folds neither and leaves a float tensor behind."""
    for node in view.weight_quants:
        users = view.consumers.get(view.output(node), [])
        if len(users) > 1:
            yield view.label(node), view.output(node), f"feeds {len(users)} consumers"


@rule("zero-point", "error", "quantise symmetrically: zero point 0")
def zero_point(view: TidyView) -> Iterator[Hit]:
    """A zero point adds cross terms to every product; FINN supports none."""
    for node in view.quants:
        if len(node.input) < 3:
            continue  # operand-count
        name = node.input[2]
        values = view.numbers(name)
        if values is not None and np.any(values != 0):
            yield view.label(node), name, "is a zero point other than 0"
        elif values is None and _no_number(view, name):
            yield view.label(node), name, "is a zero point that is no constant number"


@rule("rounding-mode", "error", "use ROUND: half to even, the mode every engine agrees on")
def rounding_mode(view: TidyView) -> Iterator[Hit]:
    """FINN ignores the mode, and Brevitas exports weight quantisers of other modes with wrong numbers."""
    for node in view.quants:
        mode = text_attribute(node, "rounding_mode", "ROUND").upper()
        if mode not in ("ROUND", "HALF_EVEN"):
            yield view.label(node), view.output(node), f"rounds by {mode}"


@rule("power-of-two-scale", "error", "restrict scales to powers of two (Brevitas: restrict_scaling_type POWER_OF_TWO)")
def power_of_two_scale(view: TidyView) -> Iterator[Hit]:
    """Only on power-of-two grids are products and sums exact integers, and an alignment a shift."""
    for node in view.quants:
        if len(node.input) < 2:
            continue
        values = view.numbers(node.input[1])
        if values is None:
            if _no_number(view, node.input[1]):
                yield view.label(node), node.input[1], "is a scale that is no constant number"
        elif np.any(np.frexp(np.asarray(values, np.float64))[0] != 0.5):
            yield view.label(node), node.input[1], "is a scale that is no power of two"


@rule("quant-width", "error", "give a constant whole number of bits from 1 to 32")
def quant_width(view: TidyView) -> Iterator[Hit]:
    """The width decides every stream behind it and must be known at compile time."""
    for node in view.quants:
        if len(node.input) < 4:
            continue  # operand-count
        values = view.numbers(node.input[3])
        if values is None:
            if _no_number(view, node.input[3]):
                yield view.label(node), node.input[3], "is a bit width that is no constant number"
        elif values.size != 1 or not 1 <= values.item() <= 32 or values.item() % 1:
            yield view.label(node), node.input[3], f"is the bit width {values.ravel()[:4].tolist()}"
