"""The sequence graph: an ONNX Scan around the step graph, for plain ONNX Runtime.

    sequence (batch, T, channels) -> logits (batch, classes)

States start at 0 and stay inside; what only the last step needs (pooled, decoder) stands after the Scan. QONNX's Quant
travels as a model-local function of standard operators, so no custom operator is needed to run the file.
"""

from __future__ import annotations

import onnx
from onnx import TensorProto, helper

from ..dataflow.keys import FORM_KEY, OPSET, QONNX_DOMAIN, length_of
from ..dataflow.ports import ports_of
from ..errors import ExportError
from ..functions.quant_function import quant_function


def sequence_graph(step: onnx.ModelProto, traced: tuple[str, ...] = ()) -> onnx.ModelProto:
    """Wrap a step graph. ``traced`` tensors of the body become additional outputs ``(batch, T, channels)``."""
    properties = {p.key: p.value for p in step.metadata_props}
    if properties.get(FORM_KEY) != "step":
        raise ExportError("the sequence graph is made from a step graph written by this program, and this is not one")
    result = _Sequence(step, traced).graph()
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(QONNX_DOMAIN, 1)]
    model = helper.make_model(
        result, opset_imports=opsets, functions=[quant_function()], producer_name="ssmq", ir_version=9
    )
    helper.set_model_props(model, {**properties, FORM_KEY: "sequence"})
    return model


class _Sequence:
    def __init__(self, step: onnx.ModelProto, traced: tuple[str, ...]):
        self.step, self.traced, self.ports, self.length = step.graph, traced, ports_of(step), length_of(step)
        self.following = self.ports.successors
        # Computed in every step; whatever else there is follows the last one.
        self.inside = _ancestors(self.step, [*self.following.values(), *traced])
        lost = next((name for name in traced if name not in self.inside), None)
        if lost is not None:
            raise ExportError(f"{lost}: the step graph computes no such tensor to trace")
        self.infos = {v.name: v for v in [*self.step.value_info, *self.step.input, *self.step.output]}
        self.element = self.step.input[0].type.tensor_type.elem_type

    def graph(self) -> onnx.GraphProto:
        given, result = self.ports.input.name, self.ports.output.name
        tail = self._tail()
        start_nodes, start_constants = _initial_states(list(self.following), self._channels, self.element)
        traces = [self._info(f"{name}_trace", "batch", self.length, self._channels(name)) for name in self.traced]
        return helper.make_graph(
            [*start_nodes, self._scan(), *tail],
            "sequence",
            [self._info("sequence", "batch", self.length, self._channels(given))],
            [self._info(result, "batch", self._channels(result)), *traces],
            [*self._constants(tail), *start_constants],
        )

    def _info(self, name: str, *shape: int | str) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, self.element, list(shape))

    def _channels(self, name: str) -> int:
        return self.infos[name].type.tensor_type.shape.dim[1].dim_value

    def _constants(self, nodes: list[onnx.NodeProto]) -> list[onnx.TensorProto]:
        used = {name for node in nodes for name in node.input}
        return [constant for constant in self.step.initializer if constant.name in used]

    def _scan(self) -> onnx.NodeProto:
        axes = {"scan_output_axes": [1] * len(self.traced)} if self.traced else {}
        return helper.make_node(
            "Scan",
            [*(f"{state}_initial" for state in self.following), "sequence"],
            [*(f"{state}_final" for state in self.following), *(f"{name}_trace" for name in self.traced)],
            name="recurrence",
            body=self._body(),
            num_scan_inputs=1,
            scan_input_axes=[1],
            **axes,
        )

    def _body(self) -> onnx.GraphProto:
        nodes = [node for node in self.step.node if node.output[0] in self.inside]
        # A Scan output may not be the state itself, so a traced tensor leaves under a name of its own.
        copies = [helper.make_node("Identity", [name], [f"{name}_t"], name=f"trace_{name}") for name in self.traced]
        given = self.ports.input.name
        return helper.make_graph(
            [*nodes, *copies],
            "step",
            [self._info(name, "batch", self._channels(name)) for name in (*self.following, given)],
            [self._info(name, "batch", self._channels(name)) for name in self.following.values()]
            + [self._info(f"{name}_t", "batch", self._channels(name)) for name in self.traced],
            self._constants(nodes),
        )

    def _tail(self) -> list[onnx.NodeProto]:
        final = {after: f"{state}_final" for state, after in self.following.items()}
        lost = (self.inside | self.following.keys() | {self.ports.input.name}) - final.keys()
        tail = []
        for node in self.step.node:
            if node.output[0] in self.inside:
                continue
            for name in node.input:
                if name in lost:
                    raise ExportError(
                        f"{node.output[0]}: reads {name}, of which only the steps know: only states leave the Scan"
                    )
            copy = onnx.NodeProto()
            copy.CopyFrom(node)
            copy.input[:] = [final.get(name, name) for name in node.input]
            tail.append(copy)
        return tail


def _ancestors(graph: onnx.GraphProto, tensors: list[str]) -> set[str]:
    producers = {name: node for node in graph.node for name in node.output}
    found: set[str] = set()
    pending = [name for name in tensors if name in producers]
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            pending += [i for i in producers[name].input if i in producers]
    return found


def _initial_states(states: list[str], channels, element: int) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """Zeros of shape (batch, channels), the batch read off the input."""
    nodes = [helper.make_node("Shape", ["sequence"], ["batch_size"], name="batch_size", start=0, end=1)]
    constants = []
    zero = helper.make_tensor("zero", element, [1], [0.0])
    for s in states:
        constants.append(helper.make_tensor(f"{s}_channels", TensorProto.INT64, [1], [channels(s)]))
        shape = ["batch_size", f"{s}_channels"]
        nodes.append(helper.make_node("Concat", shape, [f"{s}_shape"], name=f"shape_{s}", axis=0))
        nodes.append(helper.make_node("ConstantOfShape", [f"{s}_shape"], [f"{s}_initial"], name=f"start_{s}", value=zero))
    return nodes, constants
