"""The graph that a pass edits: nodes in order, constants as arrays, and what is known of every tensor."""

from __future__ import annotations

import json
from collections.abc import Iterable

import numpy as np
import onnx
from onnx import NodeProto, StringStringEntryProto, TensorAnnotation, ValueInfoProto, helper, numpy_helper

from ..dataflow.format import Format
from ..dataflow.keys import FORM_KEY, FORMATS_KEY, OPSET, PORTS_KEY, QONNX_DOMAIN
from ..dataflow.ports import entries_of
from ..functions.elementwise import constants_of


class Graph:
    """``constants`` are by name; ``exponents`` (int64, one number or one a channel) and ``datatypes`` say how a tensor is
    coded, as far as that is known. Tensors that are no constants are ``(1, channels)``.
    """

    def __init__(self, model: onnx.ModelProto):
        self.properties = {p.key: p.value for p in model.metadata_props}
        self.form = self.properties[FORM_KEY]
        graph = model.graph
        self.nodes: list[NodeProto] = [_copy(node) for node in graph.node]
        self.constants = constants_of(graph)
        self.inputs = [port.name for port in graph.input]
        self.outputs = [port.name for port in graph.output]
        self.infos: dict[str, ValueInfoProto] = {info.name: info for info in [*graph.input, *graph.output, *graph.value_info]}
        self.element = graph.input[0].type.tensor_type.elem_type
        self.dtype = helper.tensor_dtype_to_np_dtype(self.element)
        # What is kept from step to step, and what it becomes.
        text = self.properties.get(PORTS_KEY)
        self.successors = {entry.name: entry.successor for entry in entries_of(text) if entry.successor} if text else {}
        self.exponents: dict[str, np.ndarray] = {}
        self.datatypes: dict[str, str] = {}
        for name, fmt in json.loads(self.properties[FORMATS_KEY]).items():
            self.exponents[name] = np.asarray(fmt["exponent"], np.int64)
            known = fmt.get("datatype") or Format(fmt["bits"], fmt["signed"], self.exponents[name]).datatype
            self.datatypes[name] = known
        for note in graph.quantization_annotation:
            self.datatypes[note.tensor_name] = note.quant_parameter_tensor_names[0].value

    def model(self) -> onnx.ModelProto:
        """The graph as a file holds it. Whatever no output needs is left out."""
        self.prune()
        ports = {*self.inputs, *self.outputs}
        computed = [name for node in self.nodes for name in node.output if name not in ports]
        graph = helper.make_graph(
            self.nodes,
            self.form,
            [self.infos[name] for name in self.inputs],
            [self.infos[name] for name in self.outputs],
            [numpy_helper.from_array(np.asarray(self.constants[name], order="C"), name) for name in self.constants],
            value_info=[self.infos[name] for name in computed if name in self.infos],
        )
        if self.integers:
            for tensor, datatype in self.datatypes.items():
                entry = StringStringEntryProto(key="finn_datatype", value=datatype)
                note = TensorAnnotation(tensor_name=tensor, quant_parameter_tensor_names=[entry])
                graph.quantization_annotation.append(note)
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(QONNX_DOMAIN, 1)]
        model = helper.make_model(graph, opset_imports=opsets, producer_name="ssmq", ir_version=9)
        formats = {
            name: {"datatype": self.datatypes[name], "exponent": exponent.tolist()}
            for name, exponent in self.exponents.items()
            if name in self.datatypes
        }
        helper.set_model_props(model, {**self.properties, FORM_KEY: self.form, FORMATS_KEY: json.dumps(formats)})
        return model

    @property
    def integers(self) -> bool:
        """Whether the tensors hold codes, not the values that the codes stand for."""
        return self.form != "step"

    def restores(self, cast: NodeProto, quant: NodeProto) -> bool:
        """Whether ``cast`` makes of what ``quant`` gives (float32, whatever it is given) the graph's own doubles. In a graph
        of float32 a Cast begins a function in double precision."""
        return cast.op_type == "Cast" and quant.op_type == "Quant" and self.dtype == np.float64

    def channels(self, name: str) -> int:
        return self.infos[name].type.tensor_type.shape.dim[1].dim_value

    def varies(self, name: str) -> bool:
        """Whether ``name`` depends on an input. Parameters behind a Quant do not count as varying before ``clean``."""
        return name not in self.constants

    def constant(self, name: str, values: np.ndarray) -> str:
        self.constants[name] = np.ascontiguousarray(values, self.dtype)
        return name

    def node(self, op: str, inputs: Iterable[str], output: str, channels: int, **attributes) -> NodeProto:
        """A node named after its output, not yet placed among ``nodes``."""
        domain = QONNX_DOMAIN if op == "MultiThreshold" else ""
        self.infos[output] = helper.make_tensor_value_info(output, self.element, [1, channels])
        return helper.make_node(op, list(inputs), [output], name=f"{op}_{output}", domain=domain, **attributes)

    def thresholds(self, source: str, output: str, levels: np.ndarray, bias: int, datatype: str) -> NodeProto:
        """A MultiThreshold with ``levels`` ``(channels, n)``; its output are codes from ``bias`` up."""
        channels = len(levels)
        attributes = {"out_dtype": datatype, "out_scale": 1.0, "out_bias": float(bias), "data_layout": "NC"}
        self.datatypes[output] = datatype
        name = self.constant(f"{output}_thresholds", shared_row(levels))
        return self.node("MultiThreshold", [source, name], output, channels, **attributes)

    def rename(self, old: str, new: str) -> None:
        """Give the tensor ``old`` the name ``new``, which nothing else has any more."""
        self.replace_uses(old, new)
        for node in self.nodes:
            node.output[:] = [new if name == old else name for name in node.output]
        everywhere: tuple[dict, ...] = (self.infos, self.exponents, self.datatypes)
        for known in everywhere:
            if old in known:
                known[new] = known.pop(old)
        self.infos[new] = helper.make_tensor_value_info(new, self.element, [1, self.channels(new)])

    def replace_uses(self, old: str, new: str, readers: list[NodeProto] | None = None) -> list[NodeProto]:
        """Whoever reads ``old`` reads ``new``; ``readers`` are they, if that is known. Returns them."""
        found = [node for node in self.nodes if old in node.input] if readers is None else readers
        for node in found:
            node.input[:] = [new if name == old else name for name in node.input]
        return found

    def fingerprint(self) -> tuple:
        """Differs where anything of the graph does."""
        return (
            self.form,
            [node.SerializeToString(deterministic=True) for node in self.nodes],
            {name: (values.dtype.str, values.shape, values.tobytes()) for name, values in self.constants.items()},
            {name: (exponent.shape, exponent.tobytes()) for name, exponent in self.exponents.items()},
            dict(self.datatypes),
            {name: info.SerializeToString(deterministic=True) for name, info in self.infos.items()},
        )

    def readers(self) -> dict[str, list[NodeProto]]:
        found: dict[str, list[NodeProto]] = {}
        for node in self.nodes:
            for name in node.input:
                found.setdefault(name, []).append(node)
        return found

    def producers(self) -> dict[str, NodeProto]:
        return {name: node for node in self.nodes for name in node.output}

    def prune(self) -> None:
        """Forget nodes that no output needs and tensors that no node has."""
        needed = set(self.outputs)
        kept = []
        for node in reversed(self.nodes):
            if needed & set(node.output):
                needed |= set(node.input)
                kept.append(node)
        self.nodes = kept[::-1]
        tensors = {*self.inputs, *self.outputs, *needed}
        for known in (self.constants, self.infos, self.exponents, self.datatypes):
            for name in known.keys() - tensors:
                del known[name]


def shared_row(levels: np.ndarray) -> np.ndarray:
    """One row of thresholds where all channels have the same."""
    return levels[:1] if np.all(levels == levels[:1]) else levels


def _copy(node: NodeProto) -> NodeProto:
    copy = NodeProto()
    copy.CopyFrom(node)
    return copy
