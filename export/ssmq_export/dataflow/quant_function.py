"""QONNX's Quant as an ONNX model-local function: half-to-even rounding, saturation, a power-of-two scale.

A file that brings it runs in plain ONNX Runtime. A reader to whom Quant is an operator leaves it aside.
Source: https://github.com/fastmachinelearning/qonnx, docs/qonnx-custom-ops/quant_op.md
"""

from __future__ import annotations

import onnx
from onnx import TensorProto, helper

from .keys import OPSET, QONNX_DOMAIN


def other_functions(model: onnx.ModelProto) -> list[onnx.FunctionProto]:
    """The functions of a file but for this one, which says nothing that the operator does not."""
    known = quant_function()
    return [function for function in model.functions if function != known]


def quant_function() -> onnx.FunctionProto:
    """Valid for ``rounding_mode = "ROUND"``, the only one this program writes, and widths from 2 bits."""
    nodes: list[onnx.NodeProto] = []

    def add(op: str, inputs: list[str], output: str, **attributes) -> str:
        nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))
        return output

    def attribute(name: str) -> str:
        node = helper.make_node("Constant", [], [f"{name}_int"], name=f"{name}_int")
        reference = node.attribute.add()
        reference.name, reference.ref_attr_name, reference.type = "value_int", name, onnx.AttributeProto.INT
        nodes.append(node)
        return add("CastLike", [f"{name}_int", "x"], name)

    def number(value: float, name: str) -> str:
        tensor = helper.make_tensor(name, TensorProto.FLOAT, [], [value])
        return add("CastLike", [add("Constant", [], f"{name}_float", value=tensor), "x"], name)

    signed, narrow = attribute("signed"), attribute("narrow")
    one, two = number(1.0, "one"), number(2.0, "two")
    add("Sub", ["bitwidth", signed], "magnitude_bits")
    add("Pow", [two, "magnitude_bits"], "levels")
    # signed: [-levels + narrow, levels - 1]; unsigned: [0, levels - 1 - narrow]
    add("Sub", [one, signed], "unsigned")
    add("Mul", ["unsigned", narrow], "narrow_above")
    add("Sub", ["levels", one], "top")
    add("Sub", ["top", "narrow_above"], "highest")
    add("Sub", [narrow, "levels"], "bottom")
    add("Mul", [signed, "bottom"], "lowest")
    add("Div", ["x", "scale"], "scaled")
    add("Add", ["scaled", "zeropt"], "shifted")
    add("Round", ["shifted"], "rounded")
    add("Min", ["rounded", "highest"], "below")
    add("Max", ["below", "lowest"], "code")
    add("Sub", ["code", "zeropt"], "centred")
    add("Mul", ["centred", "scale"], "wide")
    add("Cast", ["wide"], "y", to=TensorProto.FLOAT)  # as qonnx does
    return helper.make_function(
        QONNX_DOMAIN,
        "Quant",
        ["x", "scale", "zeropt", "bitwidth"],
        ["y"],
        nodes,
        [helper.make_opsetid("", OPSET)],
        attributes=["signed", "narrow", "rounding_mode"],
    )
