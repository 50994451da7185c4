"""Integer graphs of foreign make: a builder, and graphs drawn over all that FINN converts and some that it does not."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import StringStringEntryProto, TensorAnnotation, TensorProto, helper, numpy_helper

QONNX = "qonnx.custom_op.general"


class Graph:
    """A graph while it is built: tensors by name, with shape and range."""

    def __init__(self, opset: int = 17):
        self.opset, self.nodes, self.constants, self.types = opset, [], [], {}
        self.ports, self.infos, self.functions, self.domains = [], {}, [], {QONNX}

    def input(self, name: str, shape, datatype: str, element=TensorProto.FLOAT) -> str:
        self.ports.append(helper.make_tensor_value_info(name, element, shape))
        self.types[name] = datatype
        return name

    def constant(self, values, datatype: str | None, dtype=np.float32, name: str | None = None) -> str:
        name = name or f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        if datatype:
            self.types[name] = datatype
        return name

    def node(
        self, op: str, inputs, shape, datatype: str | None, *, domain="", element=TensorProto.FLOAT, out=None, **attributes
    ) -> str:
        """``shape`` of the output, or a list of one for each."""
        shapes = shape if shape and isinstance(shape[0], (list, tuple)) else [shape]
        types = datatype if isinstance(datatype, list) else [datatype] * len(shapes)
        outputs = out or [f"t{len(self.nodes)}_{k}" for k in range(len(shapes))]
        self.nodes.append(helper.make_node(op, inputs, outputs, name=f"{op}_{len(self.nodes)}", domain=domain, **attributes))
        for name, found, kind in zip(outputs, shapes, types, strict=True):
            self.infos[name] = helper.make_tensor_value_info(name, element, found)
            if kind:
                self.types[name] = kind
        return outputs[0] if len(outputs) == 1 else outputs

    def threshold(
        self, x: str, values, shape, datatype="UINT2", *, domain=QONNX, scale=1.0, bias=0.0, layout="NC", levels="INT8"
    ) -> str:
        t = self.constant(values, levels)
        layout = {"data_layout": layout} if layout else {}
        return self.node(
            "MultiThreshold",
            [x, t],
            shape,
            datatype,
            domain=domain,
            out_dtype=datatype,
            out_scale=scale,
            out_bias=bias,
            **layout,
        )

    def model(self, outputs, *, inner=True, constant_nodes=False, static_inputs=False) -> onnx.ModelProto:
        """``inner``: with shapes of inner tensors; constants as nodes, or listed as inputs too."""
        nodes = list(self.nodes)
        read = {name for node in nodes for name in node.input}
        constants, ports = ([e for e in entries if e.name in read] for entries in (self.constants, self.ports))
        infos = [info for name, info in self.infos.items() if name not in outputs] if inner else []
        if constant_nodes:
            nodes = [helper.make_node("Constant", [], [c.name], name=f"Constant_{c.name}", value=c) for c in constants] + nodes
            constants = []
        if static_inputs:
            ports += [helper.make_tensor_value_info(c.name, c.data_type, c.dims) for c in constants]
        graph = helper.make_graph(nodes, "g", ports, [self.infos[name] for name in outputs], constants, value_info=infos)
        for name, datatype in self.types.items():
            entry = StringStringEntryProto(key="finn_datatype", value=datatype)
            graph.quantization_annotation.append(TensorAnnotation(tensor_name=name, quant_parameter_tensor_names=[entry]))
        opsets = [helper.make_opsetid("", self.opset), *(helper.make_opsetid(d, 1) for d in sorted(self.domains))]
        return helper.make_model(graph, opset_imports=opsets, ir_version=9, functions=self.functions)
