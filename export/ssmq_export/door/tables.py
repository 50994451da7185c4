"""Tables: a Gather from a constant row, at places that follow from the codes of a quantiser."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto

from ..errors import ExportError
from .metadata import Coded
from .shapes import ADVICE


def check_tables(nodes: list[onnx.NodeProto], constants: dict[str, np.ndarray], formats: dict[str, Coded]) -> None:
    """Every Gather finds an entry for every code: its index is (tensor * factor - lowest) of a coded tensor, as integers,
    and nothing else is an integer tensor. Raises ExportError naming the first node that is not so."""
    makers = {node.output[0]: node for node in nodes}
    indices = {node.input[1] for node in nodes if node.op_type == "Gather"}
    for node in nodes:
        if node.op_type == "Cast" and _target(node) == TensorProto.INT64 and node.output[0] not in indices:
            raise ExportError(f"node {node.name}: makes integers that no table is read with: {ADVICE}")
        if set(node.input) & indices and node.op_type != "Gather":
            raise ExportError(f"node {node.name}: computes with the index of a table: {ADVICE}")
        if node.op_type == "Gather":
            low, high = _places(node, makers, constants, formats)
            if low < 0 or high >= len(constants[node.input[0]]):
                raise ExportError(
                    f"node {node.name}: reads places {low} .. {high} of a table of {len(constants[node.input[0]])}: {ADVICE}"
                )


def _target(cast: onnx.NodeProto) -> int:
    return next(attribute.i for attribute in cast.attribute if attribute.name == "to")


def _places(node: onnx.NodeProto, makers, constants, formats: dict[str, Coded]) -> tuple[int, int]:
    """The first and the last place that a Gather reads."""
    refusal = ExportError(f"node {node.name}: its index is not that of a quantiser's codes: {ADVICE}")
    chain, name = [], node.input[1]
    for wanted in ("Cast", "Sub", "Mul"):
        maker = makers.get(name)
        if maker is None or maker.op_type != wanted:
            raise refusal
        chain.append(maker)
        name = maker.input[0]
    cast, minus, times = chain
    # In double graphs a Cast stands between the quantiser and the rest.
    while name in makers and makers[name].op_type == "Cast":
        name = makers[name].input[0]
    lowest, factor = (constants.get(maker.input[1]) for maker in (minus, times))
    if _target(cast) != TensorProto.INT64 or name not in makers or makers[name].op_type != "Quant" or name not in formats:
        raise refusal
    if lowest is None or factor is None or lowest.size != 1 or factor.size != 1:
        raise refusal
    said = formats[name]
    low, high = (-(1 << (said.bits - 1)), (1 << (said.bits - 1)) - 1) if said.signed else (0, (1 << said.bits) - 1)
    steps = np.ldexp(float(factor.ravel()[0]), np.asarray(said.exponents))
    if np.any(steps != 1) or float(lowest.ravel()[0]) != int(lowest.ravel()[0]):
        raise refusal
    return low - int(lowest.ravel()[0]), high - int(lowest.ravel()[0])
