"""Grids of a QONNX graph: what meets and what is multiplied must have been quantised."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...dataflow.datatype import is_integer
from ..catalogue import Hit, rule
from ..tidy_view import QUANTS, TidyView

# Operators whose result lies on a power-of-two grid if all that they compute with does.
EXACT = frozenset({"MatMul", "Mul", "Add", "Sub", "Relu", "Identity", "Reshape", "Transpose", "Concat", "Split", "Pad"})
# Operators that leave every grid. Any other operator is for hardware-op to name.
FLOAT = frozenset({"Sigmoid", "Tanh", "HardSigmoid", "Erf", "Div", "BatchNormalization", "Constant"})


def _float_tensors(view: TidyView) -> set[str]:
    """Tensors that no quantiser put on a grid. Ports count as coded: whoever drives them vouches for it."""
    unquantized = {name for name in view.initializers if not is_integer(view.datatypes.get(name, ""))}
    for node in view.nodes:
        tainted = node.op_type in EXACT and any(name in unquantized for name in node.input)
        if node.op_type in FLOAT or tainted:
            unquantized.update(node.output)
    return unquantized


@rule("float-matmul-operand", "error", "put a Quant on the operand (in Brevitas, a weight or input quantiser)")
def float_matmul_operand(view: TidyView) -> Iterator[Hit]:
    """An MVAU multiplies integers; with a float operand FINN leaves the MatMul outside the accelerator."""
    if view.lowered:
        return  # integer-datatypes and float-initializer judge integer graphs
    unquantized = _float_tensors(view)
    for node in view.nodes:
        for name in node.input:
            if node.op_type == "MatMul" and name in unquantized:
                yield view.label(node), name, "is a float operand of a MatMul: no Quant lies before it"


def _scale(view: TidyView, tensor: str) -> np.ndarray | None:
    """Scale of the Quant that writes ``tensor``, a stream; None for anything else."""
    match view.producers.get(tensor):
        case [quant] if quant.op_type in QUANTS and len(quant.input) > 1 and not view.is_constant(tensor):
            return view.numbers(quant.input[1])
    return None


@rule("grid-join", "warning", "give both quantisers the same scale; ssmq export aligns them with a constant shift")
def grid_join(view: TidyView) -> Iterator[Hit]:
    """FINN moves a scale through a join only if both sides have the same; else it stays behind as a float Mul."""
    for node in view.nodes:
        if node.op_type not in ("Add", "Sub") or len(node.input) != 2:
            continue
        left, right = (_scale(view, name) for name in node.input)
        if left is None or right is None:
            continue
        try:
            equal = bool(np.all(np.equal(left, right)))
        except ValueError:  # scales a channel of differently many channels: join-shape
            continue
        if not equal:
            yield view.label(node), "", f"joins {node.input[0]} and {node.input[1]}, whose scales differ"
