"""Streams of graph inputs that several nodes read are duplicated.

FINN 1.6.1 does this for the outputs of nodes and for the first graph input only (InferDuplicateStreamsLayer); the states of a
step graph are further inputs, each read by two products. Imported by the worker alone.
"""

from __future__ import annotations

from onnx import TensorProto, helper
from qonnx.transformation.base import Transformation


class DuplicateInputs(Transformation):
    """Run behind step_convert_to_hw."""

    def apply(self, model):
        for port in model.graph.input:
            readers = [(node, k) for node in model.graph.node for k, name in enumerate(node.input) if name == port.name]
            if len(readers) < 2:
                continue
            *vectors, channels = model.get_tensor_shape(port.name)
            datatype = model.get_tensor_datatype(port.name)
            copies = []
            for node, k in readers:
                name = model.make_new_valueinfo_name()
                copies.append(name)
                info = helper.make_tensor_value_info(name, TensorProto.FLOAT, [*vectors, channels])
                model.graph.value_info.append(info)
                model.set_tensor_datatype(name, datatype)
                node.input[k] = name
            duplicate = helper.make_node(
                "DuplicateStreams", [port.name], copies, name=f"DuplicateStreams_{port.name}",
                domain="finn.custom_op.fpgadataflow", backend="fpgadataflow", NumChannels=channels, PE=1,
                inputDataType=datatype.name, numInputVectors=vectors, NumOutputStreams=len(copies),
                outFIFODepths=[2] * len(copies), cpp_interface="hls_vector", hls_style="freerunning",
            )  # fmt: skip
            model.graph.node.insert(0, duplicate)
        return model, False
