"""A small writer of ONNX graphs: named nodes, constants, shapes, formats."""

from __future__ import annotations

import json

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ..dataflow.format import Format
from ..dataflow.keys import FORMATS_KEY, OPSET, QONNX_DOMAIN
from ..dataflow.quant_function import quant_function
from .spec import Constant


class GraphBuilder:
    """Collects nodes whose tensors are ``(batch, channels)``; the batch is a number or a symbol."""

    def __init__(self, batch: int | str, dtype: type[np.floating]):
        self.batch, self.dtype = batch, np.dtype(dtype)
        self.element = TensorProto.DOUBLE if self.dtype == np.float64 else TensorProto.FLOAT
        self.nodes: list[onnx.NodeProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []
        self.outputs: list[onnx.ValueInfoProto] = []
        self.values: dict[str, onnx.ValueInfoProto] = {}
        self.initializers: dict[str, onnx.TensorProto] = {}
        self.formats: dict[str, dict] = {}

    def _info(self, name: str, channels: int) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, self.element, [self.batch, channels])

    def input(self, name: str, channels: int) -> str:
        self.inputs.append(self._info(name, channels))
        return name

    def output(self, name: str, channels: int) -> str:
        """Declare an already produced tensor as a port."""
        self.values.pop(name, None)
        self.outputs.append(self._info(name, channels))
        return name

    def constant(self, name: str, values: np.ndarray | float) -> str:
        array = np.asarray(values, self.dtype)
        self.initializers[name] = numpy_helper.from_array(array, name)
        return name

    def node(self, op: str, inputs: list[str], output: str, channels: int, domain: str = "", **attributes) -> str:
        """Append a node named after its output tensor."""
        self.nodes.append(helper.make_node(op, inputs, [output], name=f"{op}_{output}", domain=domain, **attributes))
        self.values[output] = self._info(output, channels)
        return output

    def in_double(self, op: str, source: str, output: str, channels: int) -> str:
        """A transcendental function in double precision: single-precision ones differ between libraries."""
        if self.element == TensorProto.DOUBLE:
            return self.node(op, [source], output, channels)
        wide = self.node("Cast", [source], f"{output}_in_double", channels, to=TensorProto.DOUBLE)
        result = self.node(op, [wide], f"{output}_double", channels)
        for name in (wide, result):
            self.values[name].type.tensor_type.elem_type = TensorProto.DOUBLE
        return self.node("Cast", [result], output, channels, to=TensorProto.FLOAT)

    def looked_up(self, table: np.ndarray, place: str, output: str, channels: int) -> str:
        """The entry of ``table`` that each integer of ``place`` numbers: no two libraries' erf agree in the last place."""
        limits = [self.constant(f"{output}_first", 0), self.constant(f"{output}_last", len(table) - 1)]
        # Every place is inside; the limits say so to a reader of the file.
        inside = self.node("Clip", [place, *limits], f"{output}_inside", channels)
        index = self.node("Cast", [inside], f"{output}_index", channels, to=TensorProto.INT64)
        self.values[index].type.tensor_type.elem_type = TensorProto.INT64
        return self.node("Gather", [self.constant(f"{output}_table", table), index], output, channels)

    def note_format(self, tensor: str, fmt: Format) -> None:
        """Remember how ``tensor`` is coded; written into the model's metadata."""
        exponent = np.asarray(fmt.exponent).ravel().tolist()
        self.formats[tensor] = {
            "bits": fmt.bits,
            "signed": fmt.signed,
            "exponent": exponent[0] if len(exponent) == 1 else exponent,
        }

    def quant(self, source: str, output: str, fmt: Format, channels: int) -> str:
        """A QONNX Quant node of an activation; per-channel exponents must already be ``(channels,)``."""
        exponent = np.asarray(fmt.exponent)
        scale = np.ldexp(np.ones(exponent.shape), exponent)
        self.note_format(output, fmt)
        return self._quant(source, output, fmt, scale.reshape(1, -1) if exponent.size > 1 else scale.reshape(()), channels)

    def weight(self, name: str, constant: Constant) -> str:
        """A parameter through a Quant of its own; ``constant`` has the shape the consumer wants."""
        source = self.constant(f"{name}_param", constant.values)
        scale = np.ldexp(np.ones(np.shape(constant.format.exponent)), constant.format.exponent)
        self._quant(source, name, constant.format, scale, 0)
        for tensor in {name, self.nodes[-1].input[0]} & self.values.keys():
            shape = self.values[tensor].type.tensor_type.shape
            del shape.dim[:]
            shape.dim.extend(onnx.TensorShapeProto.Dimension(dim_value=size) for size in np.shape(constant.values))
        self.note_format(name, constant.format)
        return name

    def _quant(self, source: str, output: str, fmt: Format, scale: np.ndarray, channels: int) -> str:
        inputs = [
            source,
            self.constant(f"{output}_scale", scale),
            self.constant(f"{output}_zero_point", 0.0),
            self.constant(f"{output}_bits", float(fmt.bits)),
        ]
        attributes = {"signed": int(fmt.signed), "narrow": 0, "rounding_mode": "ROUND"}
        if self.element == TensorProto.FLOAT:
            return self.node("Quant", inputs, output, channels, QONNX_DOMAIN, **attributes)
        # qonnx's Quant gives float32 whatever it is given: codes fit, but the sums that follow need double.
        narrow = self.node("Quant", inputs, f"{output}_narrow", channels, QONNX_DOMAIN, **attributes)
        self.values[narrow].type.tensor_type.elem_type = TensorProto.FLOAT
        return self.node("Cast", [narrow], output, channels, to=TensorProto.DOUBLE)

    def model(self, name: str, metadata: dict[str, str]) -> onnx.ModelProto:
        graph = helper.make_graph(
            self.nodes,
            name,
            self.inputs,
            self.outputs,
            list(self.initializers.values()),
            value_info=list(self.values.values()),
        )
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(QONNX_DOMAIN, 1)]
        # So that the file also runs where nobody knows QONNX, in plain ONNX Runtime.
        model = helper.make_model(graph, opset_imports=opsets, functions=[quant_function()], producer_name="ssmq", ir_version=9)
        helper.set_model_props(model, {**metadata, FORMATS_KEY: json.dumps(self.formats)})
        return model
