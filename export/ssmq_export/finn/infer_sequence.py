"""What turns a sequence dataflow graph into FINN's hardware operators. Imported by the worker alone: it needs FINN."""

from __future__ import annotations

from onnx import helper
from qonnx.transformation.base import Transformation

from ..dataflow.attributes import attribute
from ..dataflow.graph import DataflowGraph
from ..dataflow.hardware import ScanShape
from ..dataflow.keys import SCAN_DOMAIN

HARDWARE = "finn.custom_op.fpgadataflow"


class InferSequence(Transformation):
    """Our DiagonalScan becomes the hardware operator, the sum over time FINN's GlobalAccPool."""

    def apply(self, model):
        scans = any(node.domain == SCAN_DOMAIN for node in model.graph.node)
        shapes = {o.output: o.scan_shape for o in DataflowGraph(model.model).operations if o.kind == "scan"} if scans else {}
        for position, node in enumerate(list(model.graph.node)):
            if node.domain == SCAN_DOMAIN:
                new = _hardware_scan(model, shapes[node.output[0]], node)
            elif node.op_type == "ReduceSum":
                new = _hardware_sum(model, node)
            else:
                continue
            model.graph.node.remove(node)
            model.graph.node.insert(position, new)
        return model, False


def _hardware_scan(model, shape: ScanShape, node):
    return helper.make_node(
        "DiagonalScan", list(node.input), list(node.output), name=node.name, domain=HARDWARE, backend="fpgadataflow",
        heads=shape.heads, modes=shape.modes, steps=model.get_tensor_shape(node.input[0])[1],
        state_bits=shape.state_bits, widths=shape.widths, choices=shape.choices, PE=attribute(node, "PE", 1),
        inputDataType=model.get_tensor_datatype(node.input[0]).name,
        outputDataType=model.get_tensor_datatype(node.output[0]).name,
    )  # fmt: skip


def _hardware_sum(model, node):
    *vectors, channels = model.get_tensor_shape(node.input[0])
    return helper.make_node(
        "GlobalAccPool", node.input[:1], list(node.output), name=node.name, domain=HARDWARE, backend="fpgadataflow",
        NumChannels=channels, PE=1, numInputVectors=vectors,
        inputDataType=model.get_tensor_datatype(node.input[0]).name,
    )  # fmt: skip
