"""The sequence graph: an ONNX Scan around the step graph, for plain ONNX Runtime.

    sequence (batch, T, channels) -> output (batch, T, channels), or of the last step alone (batch, channels)

States start at 0 and stay inside; what only the last step needs (a decoder behind a running sum) stands after the Scan.
What that reads of the last step besides states goes through the Scan as a state does. QONNX's Quant travels as a
model-local function of standard operators, so no custom operator is needed to run the file.
"""

from __future__ import annotations

from dataclasses import dataclass

import onnx
from onnx import NodeProto, TensorProto, ValueInfoProto, helper

from ..dataflow.keys import FORM_KEY, OPSET, QONNX_DOMAIN, length_of
from ..dataflow.ports import ports_of
from ..dataflow.quant_function import quant_function
from ..errors import ExportError


def sequence_graph(step: onnx.ModelProto, traced: tuple[str, ...] = ()) -> onnx.ModelProto:
    """Wrap a step graph. ``traced`` tensors of the body become additional outputs ``(batch, T, channels)``."""
    properties = {p.key: p.value for p in step.metadata_props}
    if properties.get(FORM_KEY) != "step":
        raise ExportError("the sequence graph is made from a step graph written by this program, and this is not one")
    result = _Sequence(step, traced).graph()
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(QONNX_DOMAIN, 1)]
    model = helper.make_model(result, opset_imports=opsets, functions=[quant_function()], producer_name="ssmq", ir_version=9)
    helper.set_model_props(model, {**properties, FORM_KEY: "sequence"})
    return model


@dataclass(frozen=True)
class _Carried:
    """What goes from step to step: ``before`` the step and ``after`` it in the body, ``final`` after the last one.

    ``tensor`` is the tensor of the step graph that ``after`` is or copies.
    """

    before: str
    after: str
    final: str
    tensor: str


class _Sequence:
    def __init__(self, step: onnx.ModelProto, traced: tuple[str, ...]):
        self.step, self.ports, self.length = step.graph, ports_of(step), length_of(step)
        self.output, following = self.ports.output, self.ports.successors
        self.traced = [name for name in traced if name != self.output.name]
        streams = [self.output.name] if self.output.each_step else []
        # Computed in every step; whatever else there is follows the last one.
        self.inside = _ancestors(self.step, [*following.values(), *self.traced, *streams])
        lost = next((name for name in self.traced if name not in self.inside), None)
        if lost is not None:
            raise ExportError(f"{lost}: the step graph computes no such tensor to trace")
        self.infos = {v.name: v for v in [*self.step.value_info, *self.step.input, *self.step.output]}
        self.taken = {*self.infos, *(tensor.name for tensor in self.step.initializer)}
        self.names: dict[str, str] = {}
        # Its name is that of the result outside, which nothing in the body may have.
        self.renamed = {self.output.name: self._free(f"{self.output.name}_t")} if self.output.name in self.inside else {}
        self.tail = [node for node in self.step.node if node.output[0] not in self.inside]
        self.carried = [_Carried(state, after, self._free(f"{state}_final"), after) for state, after in following.items()]
        self.carried += [self._last(name) for name in self._left(set(following.values()))]

    def _free(self, name: str) -> str:
        """``name``, or a longer one if a tensor of the step graph has it; always the same for the same ``name``."""
        if name not in self.names:
            free = name
            while free in self.taken:
                free += "_"
            self.taken.add(free)
            self.names[name] = free
        return self.names[name]

    def _left(self, states: set[str]) -> list[str]:
        """Tensors of the last step, no ``states``, that are needed after it."""
        known = self.inside | self.ports.successors.keys() | {self.ports.input.name}
        read = [name for node in self.tail for name in node.input]
        if self.output.name in self.inside and not self.output.each_step:
            read.append(self.output.name)
        return [name for name in dict.fromkeys(read) if name in known - states]

    def _last(self, name: str) -> _Carried:
        final = name if name == self.output.name else self._free(f"{name}_last")
        return _Carried(self._free(f"{name}_before"), self._free(f"{name}_now"), final, name)

    def graph(self) -> onnx.GraphProto:
        tail = [_copy(node, {one.tensor: one.final for one in self.carried}) for node in self.tail]
        start_nodes, start_constants = self._initial_states()
        steps = ("batch", self.length)
        result = self._info(self.output.name, self.output.name, *(steps if self.output.each_step else steps[:1]))
        traces = [self._info(self._free(f"{name}_trace"), name, *steps) for name in self.traced]
        return helper.make_graph(
            [*start_nodes, self._scan(), *tail],
            "sequence",
            [self._info(self._free("sequence"), self.ports.input.name, *steps)],
            [result, *traces],
            [*self._constants(tail), *start_constants],
        )

    def _info(self, name: str, tensor: str, *shape: int | str) -> ValueInfoProto:
        """``name`` with the type and the channels of ``tensor``."""
        kind = self.infos[tensor].type.tensor_type
        return helper.make_tensor_value_info(name, kind.elem_type, [*shape, kind.shape.dim[1].dim_value])

    def _constants(self, nodes: list[NodeProto]) -> list[TensorProto]:
        used = {name for node in nodes for name in node.input}
        return [constant for constant in self.step.initializer if constant.name in used]

    def _scan(self) -> NodeProto:
        streams = [self.output.name] if self.output.each_step else []
        streams += [self._free(f"{name}_trace") for name in self.traced]
        node = helper.make_node(
            "Scan",
            [*(self._free(f"{one.before}_initial") for one in self.carried), self._free("sequence")],
            [*(one.final for one in self.carried), *streams],
            name="recurrence",
            body=self._body(),
            num_scan_inputs=1,
            scan_input_axes=[1],
        )
        if streams:
            node.attribute.append(helper.make_attribute("scan_output_axes", [1] * len(streams)))
        return node

    def _body(self) -> onnx.GraphProto:
        nodes = [_copy(node, self.renamed) for node in self.step.node if node.output[0] in self.inside]
        # A Scan output may not be a state, nor twice the same tensor: it leaves under a name of its own.
        copied = [(one.tensor, one.after) for one in self.carried if one.after != one.tensor]
        streams = [(self.output.name, self.renamed[self.output.name])] if self.output.each_step else []
        traces = [(name, self._free(f"{name}_t")) for name in self.traced]
        for name, copy in [*copied, *traces]:
            nodes.append(helper.make_node("Identity", [self.renamed.get(name, name)], [copy], name=f"copy_{copy}"))
        given = self.ports.input.name
        return helper.make_graph(
            nodes,
            "step",
            [*(self._info(one.before, one.tensor, "batch") for one in self.carried), self._info(given, given, "batch")],
            [self._info(one.after, one.tensor, "batch") for one in self.carried]
            + [self._info(copy, name, "batch") for name, copy in [*streams, *traces]],
            self._constants(nodes),
        )

    def _initial_states(self) -> tuple[list[NodeProto], list[TensorProto]]:
        """Zeros of shape (batch, channels), the batch read off the input."""
        batch = self._free("batch_size")
        nodes = [helper.make_node("Shape", [self._free("sequence")], [batch], name=batch, start=0, end=1)]
        constants = []
        for one in self.carried:
            kind = self.infos[one.tensor].type.tensor_type
            channels, shape, initial = (self._free(f"{one.before}_{what}") for what in ("channels", "shape", "initial"))
            constants.append(helper.make_tensor(channels, TensorProto.INT64, [1], [kind.shape.dim[1].dim_value]))
            nodes.append(helper.make_node("Concat", [batch, channels], [shape], name=f"shape_{one.before}", axis=0))
            zero = helper.make_tensor("zero", kind.elem_type, [1], [0])
            nodes.append(helper.make_node("ConstantOfShape", [shape], [initial], name=f"start_{one.before}", value=zero))
        return nodes if self.carried else [], constants


def _copy(node: NodeProto, names: dict[str, str]) -> NodeProto:
    """``node`` with tensors renamed by ``names``."""
    copy = NodeProto()
    copy.CopyFrom(node)
    for side in (copy.input, copy.output):
        side[:] = [names.get(name, name) for name in side]
    return copy


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
