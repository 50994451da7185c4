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
    graph = step.graph
    ports = ports_of(step)
    given, result_name, following = ports.input.name, ports.output.name, ports.successors
    states = list(following)
    inside = _ancestors(graph, [*following.values(), *traced])
    lost = next((name for name in traced if name not in inside), None)
    if lost is not None:
        raise ExportError(f"{lost}: the step graph computes no such tensor to trace")
    shapes = {v.name: v for v in [*graph.value_info, *graph.input, *graph.output]}
    element = graph.input[0].type.tensor_type.elem_type

    def info(name: str, *shape: int | str) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, element, list(shape))

    def channels(name: str) -> int:
        return shapes[name].type.tensor_type.shape.dim[1].dim_value

    body_nodes = [node for node in graph.node if node.output[0] in inside]
    used = {name for node in body_nodes for name in node.input}
    body_constants = [c for c in graph.initializer if c.name in used]
    body_outputs = [info(following[s], "batch", channels(s)) for s in states]
    copies = []
    for name in traced:
        # A Scan output may not be the state itself, so a traced tensor leaves under a name of its own.
        copies.append(helper.make_node("Identity", [name], [f"{name}_t"], name=f"trace_{name}"))
        body_outputs.append(info(f"{name}_t", "batch", channels(name)))
    body = helper.make_graph(
        [*body_nodes, *copies],
        "step",
        [info(s, "batch", channels(s)) for s in states] + [info(given, "batch", channels(given))],
        body_outputs,
        body_constants,
    )
    length = length_of(step)
    scan = helper.make_node(
        "Scan",
        [*(f"{s}_initial" for s in states), "sequence"],
        [*(f"{s}_final" for s in states), *(f"{name}_trace" for name in traced)],
        name="recurrence",
        body=body,
        num_scan_inputs=1,
        scan_input_axes=[1],
        **({"scan_output_axes": [1] * len(traced)} if traced else {}),
    )
    final = {after: f"{state}_final" for state, after in following.items()}
    tail = []
    for node in graph.node:
        if node.output[0] in inside:
            continue
        lost = (inside | set(states) | {given}) - final.keys()
        for name in node.input:
            if name in lost:
                raise ExportError(f"{node.output[0]}: reads {name}, of which only the steps know: only states leave the Scan")
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        copy.input[:] = [final.get(name, name) for name in node.input]
        tail.append(copy)
    used = {name for node in tail for name in node.input}
    start_nodes, start_constants = _initial_states(states, channels, element)
    result = helper.make_graph(
        [*start_nodes, scan, *tail],
        "sequence",
        [info("sequence", "batch", length, channels(given))],
        [info(result_name, "batch", channels(result_name))]
        + [info(f"{name}_trace", "batch", length, channels(name)) for name in traced],
        [c for c in graph.initializer if c.name in used] + start_constants,
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(QONNX_DOMAIN, 1)]
    model = helper.make_model(
        result, opset_imports=opsets, functions=[quant_function()], producer_name="ssmq", ir_version=9
    )
    helper.set_model_props(model, {**properties, FORM_KEY: "sequence"})
    return model


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
