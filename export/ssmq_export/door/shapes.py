"""The shape and element type of every tensor, from the ports and the constants alone: declared ones are not believed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper

from ..dataflow.scan_operands import INPUTS, unfit_shapes, unfit_shift
from ..errors import ExportError

MOST_CHANNELS = 1 << 16
MOST_STEPS = 1 << 24
# Thresholds of one quantiser: 2,048 channels of 16 bits.
MOST_LEVELS = 1 << 27
ADVICE = "export the graph again"


@dataclass(frozen=True)
class Tensor:
    """``shape`` is that of one sequence, ``(1, channels)`` or ``(1, steps, 1, channels)``, where a tensor ``varies``."""

    shape: tuple[int, ...]
    element: int
    varies: bool


def port(info: onnx.ValueInfoProto, form: str) -> Tensor:
    """A port as its declaration says, for one sequence: how many go through at once is no property of a graph."""
    kind = info.type.tensor_type
    rank = 4 if form == "sequence-dataflow" else 2
    dims = [dim.dim_value if dim.HasField("dim_value") else 0 for dim in kind.shape.dim]
    if not info.type.HasField("tensor_type") or kind.elem_type not in (TensorProto.FLOAT, TensorProto.DOUBLE):
        raise ExportError(f"{info.name}: a port that is no tensor of floats: {ADVICE}")
    if len(dims) != rank or min(dims[1:]) < 1 or dims[-1] > MOST_CHANNELS or max(dims[1:]) > MOST_STEPS:
        raise ExportError(
            f"{info.name}: a port of the shape {dims}, where {rank} dimensions of known size are wanted: {ADVICE}"
        )
    return Tensor((1, *dims[1:]), kind.elem_type, True)


def infer(nodes: list[onnx.NodeProto], known: dict[str, Tensor], constants: dict[str, np.ndarray]) -> dict[str, Tensor]:
    """``known`` (ports and constants) and what ``nodes`` make of it. Raises ExportError naming the first misfit."""
    found = dict(known)
    for node in nodes:
        operands = [found[name] for name in node.input]
        infer_one = _RULES.get(node.op_type, _elementwise)
        try:
            found[node.output[0]] = infer_one(node, operands, constants)
        except ValueError as error:
            shapes = " and ".join(str(list(operand.shape)) for operand in operands)
            raise ExportError(
                f"{node.output[0]}: the shapes of its operands do not fit ({node.op_type} of {shapes}): {ADVICE}"
            ) from error
    return found


def _refuse_mixed(node: onnx.NodeProto, operands: list[Tensor]) -> None:
    if len({operand.element for operand in operands}) > 1:
        raise ExportError(f"{node.output[0]}: its operands are of different element types: {ADVICE}")


def _elementwise(node: onnx.NodeProto, operands: list[Tensor], constants: dict) -> Tensor:
    varying = [operand for operand in operands if operand.varies]
    _refuse_mixed(node, operands)
    shape = np.broadcast_shapes(*(operand.shape for operand in operands))
    # One channel may meet many; nothing else may grow.
    if varying and (shape[:-1] != varying[0].shape[:-1] or shape[-1] not in {operand.shape[-1] for operand in varying}):
        raise ValueError
    if node.op_type == "Clip" and any(operand.varies for operand in operands[1:]):
        raise ExportError(f"{node.output[0]}: the limits of a Clip must be constants: {ADVICE}")
    return Tensor(tuple(shape), operands[0].element, bool(varying))


def _quant(node: onnx.NodeProto, operands: list[Tensor], constants: dict) -> Tensor:
    source, scale, zero, bits = operands
    if not all(name in constants for name in node.input[1:]):
        raise ExportError(f"{node.output[0]}: scale, zero point and width of a Quant must be constants: {ADVICE}")
    if np.broadcast_shapes(source.shape, scale.shape) != source.shape or zero.shape or bits.shape:
        raise ValueError
    _refuse_mixed(node, operands)
    # qonnx's Quant gives float32 whatever it is given.
    return Tensor(source.shape, TensorProto.FLOAT, source.varies)


def _cast(node: onnx.NodeProto, operands: list[Tensor], constants: dict) -> Tensor:
    (element,) = (attribute.i for attribute in node.attribute if attribute.name == "to")
    return Tensor(operands[0].shape, element, operands[0].varies)


def _gather(node: onnx.NodeProto, operands: list[Tensor], constants: dict) -> Tensor:
    table, places = operands
    if table.varies or len(table.shape) != 1 or not places.varies:
        raise ExportError(f"{node.output[0]}: a Gather wants a constant row and a computed place in it: {ADVICE}")
    return Tensor(places.shape, table.element, True)


def _matmul(node: onnx.NodeProto, operands: list[Tensor], constants: dict) -> Tensor:
    left, right = operands
    if not left.varies or right.varies:
        raise ExportError(f"{node.output[0]}: a MatMul wants a computed first and a constant second operand: {ADVICE}")
    if len(right.shape) != 2 or left.shape[-1] != right.shape[0] or right.shape[1] > MOST_CHANNELS:
        raise ValueError
    _refuse_mixed(node, operands)
    return Tensor((*left.shape[:-1], right.shape[1]), left.element, True)


def _thresholds(node: onnx.NodeProto, operands: list[Tensor], constants: dict) -> Tensor:
    source, levels = operands
    if not source.varies or node.input[1] not in constants:
        raise ExportError(f"{node.output[0]}: a MultiThreshold wants a computed and a constant operand: {ADVICE}")
    if len(levels.shape) != 2 or levels.shape[0] not in (1, source.shape[-1]) or np.prod(levels.shape) > MOST_LEVELS:
        raise ValueError
    return source


def _scan(node: onnx.NodeProto, operands: list[Tensor], constants: dict) -> Tensor:
    source = operands[0]
    if not source.varies or not all(name in constants for name in node.input[1:]):
        raise ExportError(f"{node.output[0]}: a DiagonalScan wants constants for all but its first operand: {ADVICE}")
    shapes = {name: operand.shape for name, operand in zip(INPUTS, operands, strict=True)}
    wrong = unfit_shapes(source.shape[-1], shapes) or unfit_shift(constants[node.input[-1]])
    if wrong:
        raise ExportError(f"{node.output[0]}: {wrong}: {ADVICE}")
    return source


def _sum(node: onnx.NodeProto, operands: list[Tensor], constants: dict) -> Tensor:
    axes = constants.get(node.input[1])
    if not operands[0].varies or axes is None or axes.tolist() != [1, 2]:
        raise ExportError(f"{node.output[0]}: a ReduceSum sums over time, axes 1 and 2: {ADVICE}")
    return Tensor((1, 1, 1, operands[0].shape[-1]), operands[0].element, True)


_RULES = {
    "Quant": _quant,
    "Cast": _cast,
    "Gather": _gather,
    "MatMul": _matmul,
    "MultiThreshold": _thresholds,
    "DiagonalScan": _scan,
    "ReduceSum": _sum,
}


def declared(name: str, tensor: Tensor) -> onnx.ValueInfoProto:
    """What the graph is to say of a tensor."""
    return helper.make_tensor_value_info(name, tensor.element, list(tensor.shape))
