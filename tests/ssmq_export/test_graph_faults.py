"""What may be wrong with a graph of each form, one fault at a time: the door names the tensor and what to do."""

from __future__ import annotations

import json
import re

import numpy as np
import onnx
import pytest
from conftest import small_config, small_model
from damaged import constant, graph, node_of, number, port_entry, prop, refused
from onnx import TensorProto, helper, numpy_helper
from ssmq_export.dataflow.graph import DataflowGraph
from ssmq_export.door import admit_part
from ssmq_export.door.graph_file import load_graph, save_graph
from ssmq_export.errors import ExportError
from ssmq_export.estimates import estimate_graph, find_part
from ssmq_export.from_network import step_graph
from ssmq_export.graphs.sequence_graph import sequence_graph
from ssmq_export.integer import IntegerModel

STEP, DATAFLOW, WHOLE = "step", "dataflow", "sequence-dataflow"


def of_node(output: str, change):
    return lambda model: change(node_of(model, output))


def held(name: str, values):
    return lambda model: constant(model, name).CopyFrom(numpy_helper.from_array(np.asarray(values), name))


def again(model):
    model.graph.initializer.append(constant(model, "encoder.weight_param"))


def unnamed_constant(model):
    model.graph.node.append(helper.make_node("Constant", [], ["k"], value_float=1.0))


def many(model):
    model.graph.node.extend([helper.make_node("Add", ["u", "u"], ["x"])] * 20_001)


def in_double(name: str):
    def change(model):
        values = numpy_helper.to_array(constant(model, name)).astype(np.float64)
        held(name, values)(model)

    return change


def noted(output: str, key: str, value: str):
    return of_node(output, lambda node: node.metadata_props.add(key=key, value=value))


def attribute(output: str, name: str, value):
    def change(node):
        kept = [found for found in node.attribute if found.name != name]
        del node.attribute[:]
        node.attribute.extend(kept if value is None else [*kept, helper.make_attribute(name, value)])

    return of_node(output, change)


def annotated(tensor: str, datatype: str):
    def change(model):
        (note,) = [note for note in model.graph.quantization_annotation if note.tensor_name == tensor]
        note.quant_parameter_tensor_names[0].value = datatype

    return change


def kept_inside(model):
    ports = json.loads(next(entry.value for entry in graph(DATAFLOW).metadata_props if entry.key == "ssmq.ports"))
    prop(model, "ssmq.ports", lambda found: found.append(next(entry for entry in ports if entry["name"] == "sum.kept")))


def seven_steps(model):
    next(entry for entry in model.metadata_props if entry.key == "ssmq.length").value = "7"


def swapped(node):
    node.input[:] = node.input[::-1]


FAULTS = [
    (STEP, r"encoder\.weight_param: two constants have this name", again),
    (STEP, "k: a Constant node holds one tensor, value", unnamed_constant),
    (STEP, r"encoder\.weight_param: a constant of ONNX type 10, not float, double or int64", held("encoder.weight_param", np.ones((1, 4), np.float16))),
    (STEP, r"\d+ nodes are more than the 20000 that are read: give a graph of fewer layers", many),
    (STEP, "two input ports have one name, or different element types", lambda m: m.graph.input.append(m.graph.input[0])),
    (STEP, "two input ports have one name, or different", lambda m: setattr(m.graph.input[1].type.tensor_type, "elem_type", TensorProto.DOUBLE)),
    (STEP, "decoder: is an output that no node computes, or one twice", lambda m: m.graph.output.append(m.graph.output[0])),
    (STEP, r"decoder: declared \[1, 7\], computed \[1, 3\]", lambda m: setattr(m.graph.output[0].type.tensor_type.shape.dim[1], "dim_value", 7)),
    (STEP, "the graph holds text that is not UTF-8", lambda m: m.metadata_props.append(onnx.StringStringEntryProto.FromString(b"\x0a\x01a\x12\x01\xff"))),
    (STEP, "node Quant_u_quant: the attribute rounding_mode of Quant is .*FLOOR.*, which an exported graph never holds", attribute("u_quant", "rounding_mode", "FLOOR")),
    (STEP, "node Quant_u_quant: Quant has lost its attribute signed", attribute("u_quant", "signed", None)),
    (STEP, "encoder_quant: scale, zero point and width of a Quant must be constants", of_node("encoder_quant", lambda n: n.input.__setitem__(1, "encoder"))),
    (STEP, r"encoder\.product: a MatMul wants a computed first and a constant second operand", of_node("encoder.product", swapped)),
    (STEP, "node Quant_encoder_quant: 32 bits of 4 channels are more than thresholds are made for: narrow it", number("encoder_quant_bits", 32)),
    (STEP, "encoder_quant: its format in ssmq.formats says not how it is coded", lambda m: prop(m, "ssmq.formats", lambda f: f["encoder_quant"].pop("bits"))),
    (DATAFLOW, "node MatMul_encoder.product: its property ssmq.PE is 'x', which no graph of ours holds", noted("encoder.product", "ssmq.PE", "x")),
    (DATAFLOW, r"encoder\.product: its operands are of different element types", in_double("encoder.product_weight")),
    (DATAFLOW, "encoder_quant: a MultiThreshold wants a computed and a constant operand", of_node("encoder_quant", swapped)),
    (DATAFLOW, r"encoder\.product_weight: a constant that is not integer", number("encoder.product_weight", 0.5)),
    (DATAFLOW, "u: annotated UINT7, and ssmq.formats says 8 bits", annotated("u", "UINT7")),
    (DATAFLOW, r"encoder\.product: annotated FLOAT32, which is no integer type", annotated("encoder.product", "FLOAT32")),
    (DATAFLOW, r"encoder\.product: INT65 needs more than 63 bits: choose narrower formats", annotated("encoder.product", "INT65")),
    (DATAFLOW, "the graph has lost its integer types .*, as onnx.version_converter drops them", lambda m: m.graph.ClearField("quantization_annotation")),
    (WHOLE, "u: 20 steps, but ssmq.length says 7", seven_steps),
    (WHOLE, r"sum\.kept: a sequence graph keeps its states inside, and ssmq.ports names this one", kept_inside),
    (WHOLE, r"blocks\.0\.ssm: a DiagonalScan wants constants for all but its first operand", of_node("blocks.0.ssm", lambda n: n.input.__setitem__(1, "u"))),
    (WHOLE, r"blocks\.0\.ssm: a shift is no integer from 0 to 40", held("blocks.0.ssm_shift", np.float32([41]))),
    (WHOLE, r"blocks\.0\.ssm: shift has the shape \(2,\) where a_re has \(4, 3\)", held("blocks.0.ssm_shift", np.float32([1, 1]))),
    (WHOLE, r"node DiagonalScan_blocks\.0\.ssm: DiagonalScan has lost its attribute state_bits", attribute("blocks.0.ssm", "state_bits", None)),
    (WHOLE, "sum: a ReduceSum sums over time, axes 1 and 2", held("time_axes", np.int64([1, 3]))),
]  # fmt: skip


@pytest.mark.parametrize(("form", "message", "fault"), FAULTS, ids=lambda value: value if isinstance(value, str) else "")
def test_a_fault_is_named(form, message, fault):
    model = graph(form)
    fault(model)
    assert re.search(f"^{message}", refused(model, form))


def table() -> onnx.ModelProto:
    """A step graph with a place in a table."""
    return step_graph(small_model(small_config(model={"activation": "gelu", "layers": 1}))[1].network)


def test_the_limits_of_a_place_in_a_table_are_constants():
    model = table()
    node_of(model, "blocks.0.activation_inside").input[2] = "blocks.0.activation.place"
    assert "blocks.0.activation_inside: the limits of a Clip must be constants: export" in refused(model, STEP)


def test_a_place_in_a_table_is_no_output():
    model = table()
    info = helper.make_tensor_value_info("blocks.0.activation_index", TensorProto.INT64, [1, 4])
    model.graph.output.append(info)
    with pytest.raises(ExportError, match="^blocks.0.activation_index: an output that is no tensor of floats: export"):
        admit_part(model, STEP)


def test_a_file_too_large_is_not_read_and_a_place_that_cannot_be_written_is_named(tmp_path):
    path = tmp_path / "step.onnx"
    with path.open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(
        ExportError, match="step.onnx: 1,099,511,627,776 bytes are more than the 536,870,912 that are read; give"
    ):
        load_graph(path, STEP)
    with pytest.raises(ExportError, match="below.onnx: cannot be written .*: give another place"):
        save_graph(graph(STEP), path / "below.onnx")


def without_length() -> onnx.ModelProto:
    model = graph(DATAFLOW)
    model.metadata_props.remove(next(entry for entry in model.metadata_props if entry.key == "ssmq.length"))
    return model


@pytest.mark.parametrize(
    ("read", "message"),
    [
        (lambda: DataflowGraph(graph(STEP)), "a step graph is no integer graph: give the dataflow.onnx"),
        (lambda: estimate_graph(without_length(), find_part("xc7z020")), "the graph does not say how long a sequence is"),
        (lambda: sequence_graph(graph(DATAFLOW)), "the sequence graph is made from a step graph"),
        (lambda: sequence_graph(graph(STEP), ("none",)), "none: the step graph computes no such tensor to trace"),
        (lambda: IntegerModel(graph(DATAFLOW)).values(np.zeros(3, int), "none"), "none: .* do not say which values its codes"),
    ],
)
def test_what_a_reader_needs_besides_is_named(read, message):
    with pytest.raises(ExportError, match=f"^{message}"):
        read()


def test_a_fault_in_the_ports_of_one_form_is_none_of_another():
    model = graph(WHOLE)
    port_entry("decoder", lambda ports, entry: entry.update(shape=[4]))(model)
    assert "decoder: has 3 channels, not [4] of ssmq.ports" in refused(model, WHOLE)
