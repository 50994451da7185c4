"""Writes the nodes of a dataflow graph: integer codes in float containers, as FINN keeps them, each with its type."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import StringStringEntryProto, TensorAnnotation, helper, numpy_helper

from ..builder import OPSET, QONNX_DOMAIN
from .grids import Grid, integer_type


class DataflowWriter:
    """Tensors are ``(1, channels)`` unless they are constants."""

    def __init__(self, dtype: np.dtype):
        self.dtype = np.dtype(dtype)
        self.element = helper.np_dtype_to_tensor_dtype(self.dtype)
        self.nodes: list[onnx.NodeProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []
        self.values: dict[str, onnx.ValueInfoProto] = {}
        self.constants: dict[str, onnx.TensorProto] = {}
        self.datatypes: dict[str, str] = {}
        self.exponents: dict[str, list[int]] = {}

    def input(self, name: str, grid: Grid, datatype: str) -> str:
        self.inputs.append(helper.make_tensor_value_info(name, self.element, [1, grid.channels]))
        self.datatypes[name] = datatype
        self.exponents[name] = grid.exponent.tolist()
        return name

    def constant(self, name: str, codes: np.ndarray, datatype: str | None = None) -> str:
        self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(codes, self.dtype), name)
        self.datatypes[name] = datatype or integer_type(int(codes.min()), int(codes.max()))
        return name

    def node(self, op: str, inputs: list[str], output: str, grid: Grid, datatype: str | None = None, **attributes) -> str:
        domain = QONNX_DOMAIN if op == "MultiThreshold" else ""
        self.nodes.append(helper.make_node(op, inputs, [output], name=f"{op}_{output}", domain=domain, **attributes))
        self.values[output] = helper.make_tensor_value_info(output, self.element, [1, grid.channels])
        self.datatypes[output] = datatype or grid.datatype
        self.exponents[output] = grid.exponent.tolist()
        return output

    def thresholds(self, source: str, output: str, levels: np.ndarray, bias: int, grid: Grid, datatype: str) -> str:
        """A MultiThreshold; ``levels`` ``(channels, n)``, one row where all channels agree."""
        if len(levels) > 1 and np.all(levels == levels[:1]):
            levels = levels[:1]
        # FINN wants the thresholds in the type of the data they are compared with; the codes just past an end fit one
        # bit more.
        name = self.constant(f"{output}_thresholds", levels)
        attributes = {"out_dtype": datatype, "out_scale": 1.0, "out_bias": float(bias), "data_layout": "NC"}
        return self.node("MultiThreshold", [source, name], output, grid, datatype, **attributes)

    def model(self, outputs: list[str], metadata: dict[str, str]) -> onnx.ModelProto:
        ports = [self.values.pop(name) for name in outputs]
        graph = helper.make_graph(
            self.nodes,
            "dataflow",
            self.inputs,
            ports,
            list(self.constants.values()),
            value_info=list(self.values.values()),
        )
        for tensor, datatype in self.datatypes.items():
            entry = StringStringEntryProto(key="finn_datatype", value=datatype)
            graph.quantization_annotation.append(
                TensorAnnotation(tensor_name=tensor, quant_parameter_tensor_names=[entry])
            )
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(QONNX_DOMAIN, 1)]
        model = helper.make_model(graph, opset_imports=opsets, producer_name="ssmq", ir_version=9)
        helper.set_model_props(model, metadata)
        return model
