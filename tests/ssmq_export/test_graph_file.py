"""The door for graphs: what other tools do to ours is accepted or named, what a file claims is not believed."""

from __future__ import annotations

import functools
import json
import re

import numpy as np
import onnx
import pytest
from conftest import small_codes, small_config, small_model
from damaged import FORMS, constant, graph, number, port_entry, prop, refused
from hostile import CANARY, TEXTS
from onnx import TensorProto, helper, numpy_helper
from ssmq_export import hls4ml
from ssmq_export.door import admit
from ssmq_export.door.graph_file import load_graph
from ssmq_export.errors import ExportError
from ssmq_export.estimates import estimate_graph, find_part
from ssmq_export.finn import run_hardware_ops
from ssmq_export.from_network import step_graph
from ssmq_export.graphs.sequence_graph import sequence_graph
from ssmq_export.integer import IntegerModel
from ssmq_export.lowering import collapse, lower
from ssmq_export.verification.engines import run_sequence, run_steps, run_whole


def renamed(model: onnx.ModelProto, old: str, new: str) -> onnx.ModelProto:
    """As a tool, or a forger, does it: in nodes, ports, types and metadata."""
    for node in model.graph.node:
        node.input[:] = [new if name == old else name for name in node.input]
        node.output[:] = [new if name == old else name for name in node.output]
    held = (model.graph.input, model.graph.output, model.graph.value_info, model.graph.initializer)
    for entry in (entry for entries in held for entry in entries if entry.name == old):
        entry.name = new
    for note in model.graph.quantization_annotation:
        if note.tensor_name == old:
            note.tensor_name = new
    for entry in model.metadata_props:
        entry.value = entry.value.replace(json.dumps(old), json.dumps(new))
    return model


@pytest.mark.parametrize("form", FORMS)
def test_what_we_write_passes_as_it_is(form):
    before, after = graph(form), admit(graph(form), form)
    for part in ("input", "output", "initializer", "value_info"):
        assert list(getattr(before.graph, part)) == list(getattr(after.graph, part)), part
    assert [node.SerializeToString() for node in after.graph.node] == [
        node.SerializeToString() for node in admit(after, form).graph.node
    ]
    assert before.metadata_props == after.metadata_props and before.opset_import == after.opset_import


def test_what_we_write_can_be_read(tmp_path):
    """In double, with several inputs, exponents a head, tables, and no norm."""
    model = {"norm": "none", "activation": "hard_gelu", "channels": 3, "layers": 1}
    config = small_config(model=model, scheme={"granularity": "head"}, bits={"a": 16, "x": 12})
    step = step_graph(small_model(config)[1].network)
    dataflow = lower(step)
    for form, model in zip(FORMS, (step, dataflow, collapse(dataflow)), strict=True):
        onnx.save(model, tmp_path / f"{form}.onnx")
        assert len(load_graph(tmp_path / f"{form}.onnx", form).graph.node) == len(model.graph.node)
    for bits in (1, 17):
        changed = graph("step")
        prop(changed, "ssmq.formats", lambda formats, bits=bits: formats["u"].update(bits=bits))
        onnx.save(changed, tmp_path / "step.onnx")
        with pytest.raises(ExportError, match=f"u: ssmq.formats says that the input has {bits} bits, 2 to 16 are read"):
            load_graph(tmp_path / "step.onnx", "step")


@pytest.mark.parametrize("kind", TEXTS)
def test_no_hostile_name_passes_the_door(kind):
    text = TEXTS[kind]
    for form, tensor in (
        ("step", "blocks.0.ssm.ax_re"),
        ("step", "blocks.0.ssm.x_re"),
        ("step", "encoder.weight_param"),
        ("dataflow", "blocks.1.ssm.sum_re"),
    ):
        assert "name" in refused(renamed(graph(form), tensor, text), form)
    for form in FORMS:
        if text:
            model = graph(form)
            model.graph.node[0].name = text
            assert "node name" in refused(model, form)
            model = graph(form)
            model.graph.name = text
            assert "graph name" in refused(model, form)
            model = graph(form)
            model.graph.node[2].domain = text
            assert "domain" in refused(model, form)
        model = graph(form)
        model.graph.node[1].op_type = text
        assert "no operator of a" in refused(model, form)
        model = graph(form)
        model.metadata_props[0].value = text  # ssmq.form
        refused(model, form)


@pytest.mark.parametrize("kind", TEXTS)
def test_text_that_nobody_asked_for_stays_outside(kind):
    model = graph("step")
    text = TEXTS[kind] + CANARY
    model.doc_string = model.graph.doc_string = model.producer_name = model.domain = text
    for entry in (*model.graph.node, *model.graph.input, *model.graph.value_info, *model.graph.initializer):
        entry.doc_string = text
    for props in (model.metadata_props, model.graph.metadata_props, model.graph.node[0].metadata_props):
        props.add(key=CANARY, value=text)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = text
    assert CANARY.encode() not in admit(model, "step").SerializeToString()


@pytest.mark.parametrize(
    "attribute", ["backend", "code_gen_dir_ipgen", "executable_path", "rtlsim_so", "exec_mode", "preferred_impl_style", "axis"]
)
def test_attributes_that_choose_code_are_refused(attribute):
    for form in FORMS:
        model = graph(form)
        model.graph.node[0].attribute.append(helper.make_attribute(attribute, f"/tmp/{CANARY}"))
        assert f"has no attribute '{attribute}' here" in refused(model, form)


def test_every_reader_and_engine_has_the_door(tmp_path):
    """A foreign domain would be imported, external data opened, by whoever comes first."""
    foreign = {form: graph(form) for form in FORMS}
    for model in foreign.values():
        model.graph.node[2].domain = CANARY
    codes = small_codes(2).numpy()
    values = codes
    readers = [
        lambda: lower(foreign["step"]),
        lambda: collapse(foreign["dataflow"]),
        lambda: IntegerModel(foreign["dataflow"]),
        lambda: estimate_graph(foreign["dataflow"], find_part("xc7z020")),
        lambda: estimate_graph(foreign["sequence-dataflow"], find_part("xc7z020")),
        lambda: run_hardware_ops(foreign["dataflow"], codes),
        lambda: run_steps(foreign["step"], values, []),
        lambda: run_whole(foreign["sequence-dataflow"], values, []),
        lambda: run_sequence(sequence_graph(foreign["step"]), values),
    ]
    if hls4ml.available():
        readers.append(lambda: hls4ml.build(foreign["step"], tmp_path / "hls"))
    for form in FORMS:
        onnx.save(foreign[form], tmp_path / f"{form}.onnx")
        readers.append(functools.partial(load_graph, tmp_path / f"{form}.onnx", form))
    for read in readers:
        with pytest.raises(ExportError, match=f"domain '{CANARY}'"):
            read()


def outside(model):
    tensor = constant(model, "encoder.weight_param")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="weights.bin")


def sparse(model):
    values, indices = helper.make_tensor("z", 1, [1], [1.0]), helper.make_tensor("i", 7, [1], [0])
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [4]))


def huge(model):
    tensor = constant(model, "encoder.weight_param")
    tensor.dims[:] = [2**31, 2**31]


def short(model):
    tensor = constant(model, "encoder.weight_param")
    tensor.raw_data = tensor.raw_data[:-4]


def twice(model):
    copy = model.graph.node.add()
    copy.CopyFrom(next(node for node in model.graph.node if node.output[0] == "blocks.0.add"))
    copy.input[0] = copy.input[1]


def circle(model):
    next(node for node in model.graph.node if node.output[0] == "blocks.0.add").input[0] = "blocks.1.add_quant"


def of_port(name: str, change):
    return lambda model: change(next(port for port in model.graph.input if port.name == name).type.tensor_type)


def function(model):
    """Quant with another meaning."""
    node = helper.make_node("Identity", ["x"], ["y"])
    opsets = [helper.make_opsetid("", 18)]
    ports = ["x", "s", "z", "b"]
    model.functions.append(helper.make_function("qonnx.custom_op.general", "Quant", ports, ["y"], [node], opsets))


STEP_FAULTS = {
    r"'encoder\.weight_param': its values are stored outside the file, which is never opened": outside,
    "z: a sparse constant": sparse,
    r"encoder\.weight_param: a constant of the shape \[2147483648, 2147483648\], which is none or too large": huge,
    r"encoder\.weight_param: a constant of the shape \[1, 4\] with 3 values": short,
    r"encoder\.weight_param: a constant that is not finite": number("encoder.weight_param", np.nan),
    r"encoder\.weight_param does not lie on its own grid": number("encoder.weight_param", 1e20),
    "encoder_quant: its scale is not a power of two": number("encoder_quant_scale", 0.3),
    "encoder_quant: a Quant of 200 bits": number("encoder_quant_bits", 200),
    "encoder_quant: a Quant of 8 bits and zero point 1": number("encoder_quant_zero_point", 1),
    r"blocks\.0\.add: is made by 2 nodes": twice,
    "is computed from itself": circle,
    r"encoder\.product: its operand gone is computed by no node": lambda m: m.graph.node.__getitem__(2).input.__setitem__(
        1, "gone"
    ),
    r"blocks\.0\.ssm\.x_re: a port of the shape \[1, 0\]": of_port(
        "blocks.0.ssm.x_re", lambda t: t.shape.dim[1].ClearField("dim_value")
    ),
    r"blocks\.0\.ssm\.x_re: a port of the shape \[1, 1099511627776\]": of_port(
        "blocks.0.ssm.x_re", lambda t: setattr(t.shape.dim[1], "dim_value", 2**40)
    ),
    r"blocks\.0\.ssm\.x_re: a port that is no tensor of floats": of_port(
        "blocks.0.ssm.x_re", lambda t: setattr(t, "elem_type", TensorProto.STRING)
    ),
    "the shapes of its operands do not fit": of_port("blocks.0.ssm.x_re", lambda t: setattr(t.shape.dim[1], "dim_value", 13)),
    "brings functions": function,
    "of ONNX opset 12, 13 to": lambda m: setattr(m.opset_import[0], "version", 12),
    "of ONNX IR version 99": lambda m: setattr(m, "ir_version", 99),
    r"ssmq.formats is missing or damaged .blocks\.0\.ssm\.x_re\.exponent": lambda m: prop(
        m, "ssmq.formats", lambda f: f["blocks.0.ssm.x_re"].update(exponent="1")
    ),
    r"blocks\.0\.ssm\.x_re: its exponent in ssmq.formats is not that of blocks\.0\.ssm\.x_re_next": lambda m: prop(
        m, "ssmq.formats", lambda f: f["blocks.0.ssm.x_re"].update(exponent=-3)
    ),
    "encoder_quant: its format in ssmq.formats is not that of its Quant": lambda m: prop(
        m, "ssmq.formats", lambda f: f["encoder_quant"].update(bits=7)
    ),
    r"blocks\.0\.ssm\.x_re: 2 exponents in ssmq.formats for its channels": lambda m: prop(
        m, "ssmq.formats", lambda f: f["blocks.0.ssm.x_re"].update(exponent=[-7, -7])
    ),
    "ssmq.formats is missing or damaged": lambda m: prop(
        m, "ssmq.formats", lambda f: f["encoder_quant"].update(exponent=10**30)
    ),
    r"sum\.kept: has 4 channels, not \[5\] of ssmq.ports": port_entry("sum.kept", lambda ports, entry: entry.update(shape=[5])),
    r"sum\.kept: the inputs of the graph are not those in ssmq.ports": port_entry(
        "sum.kept", lambda ports, entry: ports.remove(entry)
    ),
    "ssmq.ports names 1 inputs and 0 outputs": port_entry("decoder", lambda ports, entry: ports.remove(entry)),
    "ssmq.ports names 0 inputs and 1 outputs": port_entry("u", lambda ports, entry: ports.remove(entry)),
    "or a port twice": port_entry("sum.kept", lambda ports, entry: ports.append(entry)),
    "not a real and an imaginary part of each recurrence": port_entry(
        "blocks.0.ssm.x_im", lambda ports, entry: ports.remove(entry)
    ),
    "not a real and an imaginary part of each": port_entry(
        "blocks.1.ssm.x_im", lambda ports, entry: entry.update(recurrence="blocks.0.ssm")
    ),
    r"blocks\.0\.ssm\.x_im: its other part has another shape": port_entry(
        "blocks.0.ssm.x_im", lambda ports, entry: entry.update(shape=[3, 4])
    ),
    r"blocks\.0\.ssm\.x_re: a shape of 1 dimensions": port_entry(
        "blocks.0.ssm.x_re", lambda ports, entry: entry.update(shape=[12])
    ),
    r"blocks\.0\.ssm\.x_re: what ssmq.ports says of it is no state": port_entry(
        "blocks.0.ssm.x_re", lambda ports, entry: entry.pop("successor")
    ),
    r"sum\.kept: what ssmq.ports says of it is no sum": port_entry("sum.kept", lambda ports, entry: entry.pop("initial")),
    "decoder: what ssmq.ports says of it is no output": port_entry("decoder", lambda ports, entry: entry.update(initial=0)),
    r"sum\.kept: what ssmq.ports says of it is no sum.": port_entry(
        "sum.kept", lambda ports, entry: entry.update(each_step=True)
    ),
    "ssmq.ports is missing or damaged .*each_step": port_entry("decoder", lambda ports, entry: entry.update(each_step=False)),
    "u: what ssmq.ports says of it is no input": port_entry("u", lambda ports, entry: entry.update(part="re")),
    "gone, sum: the outputs of the graph are not": port_entry("sum.kept", lambda ports, entry: entry.update(successor="gone")),
    r"blocks\.0\.ssm\.x_re: its shape or type is not that of sum": port_entry(
        "blocks.0.ssm.x_re",
        lambda ports, entry: (entry.update(successor="sum"), ports[-2].update(successor="blocks.0.ssm.x_re_next")),
    ),
    "ssmq.ports is missing or damaged .0.kind": port_entry("u", lambda ports, entry: entry.update(kind="decoder")),
    "does not say what its ports are": lambda m: m.metadata_props.remove(
        next(entry for entry in m.metadata_props if entry.key == "ssmq.ports")
    ),
    "the recurrence name 'a;b' is not plain": port_entry(
        "blocks.0.ssm.x_re", lambda ports, entry: entry.update(recurrence="a;b")
    ),
}


@pytest.mark.parametrize("fault", STEP_FAULTS)
def test_a_fault_is_named(fault):
    model = graph("step")
    STEP_FAULTS[fault](model)
    assert re.search(fault, refused(model, "step"))


def test_an_output_of_each_step_has_all_of_them():
    """What follows a ReduceSum has one."""
    model = graph("sequence-dataflow")
    port_entry("decoder", lambda ports, entry: entry.update(each_step=True))(model)
    assert "decoder: ssmq.ports calls it an output of each step, and it has one step" in refused(model, "sequence-dataflow")


@pytest.mark.parametrize("length", ["0", "-1", "1e3", "9" * 30, "٣", "x"])
def test_a_length_is_a_number_of_steps(length):
    for form in FORMS:
        model = graph(form)
        next(entry for entry in model.metadata_props if entry.key == "ssmq.length").value = length
        assert "ssmq.length is" in refused(model, form)


def test_deep_metadata_end_in_a_message():
    model = graph("step")
    next(entry for entry in model.metadata_props if entry.key == "ssmq.formats").value = "[" * 100_000
    assert "missing or damaged" in refused(model, "step")


def codes_of(dataflow: onnx.ModelProto) -> np.ndarray:
    return IntegerModel(dataflow).forward(small_codes(3).numpy())


def reversed_nodes(model):
    nodes = list(model.graph.node)[::-1]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def batch_of_eight(model):
    for port in (model.graph.input[0], model.graph.output[0]):
        port.type.tensor_type.shape.dim[0].dim_value = 8
    del model.graph.value_info[:]


def nameless(model):
    for node in model.graph.node:
        node.name = ""


def one_name(model):
    """An estimate sums latencies by name."""
    for node in model.graph.node:
        node.name = "node"


def constant_nodes(model):
    for tensor in model.graph.initializer:
        model.graph.node.insert(0, helper.make_node("Constant", [], [tensor.name], value=tensor))
    del model.graph.initializer[:]


def other_domains(model):
    for node in model.graph.node:
        node.domain = {"": "ai.onnx", "qonnx.custom_op.general": "onnx.brevitas"}.get(node.domain, node.domain)


@pytest.mark.parametrize("change", [reversed_nodes, batch_of_eight, nameless, one_name, constant_nodes, other_domains])
def test_what_changes_no_meaning_changes_no_code(change):
    expected = codes_of(graph("dataflow"))
    step, dataflow = graph("step"), graph("dataflow")
    change(step)
    change(dataflow)
    assert np.array_equal(codes_of(lower(step)), expected) and np.array_equal(codes_of(dataflow), expected)
    whole = graph("sequence-dataflow")
    change(whole)
    part = find_part("xc7z020")
    for form, changed in (("dataflow", dataflow), ("sequence-dataflow", whole)):
        found, before = (estimate_graph(model, part).as_dict() for model in (changed, graph(form)))
        assert found["total"] == before["total"] and found["cycles_per_step"] == before["cycles_per_step"]


@pytest.mark.parametrize(
    "tensor",
    [
        "encoder.product",
        "blocks.0.ssm.ax_re",
        "blocks.1.ssm.bu_re",
        "blocks.0.ssm.sum_im",
        "blocks.0.ssm",
        "encoder_quant",
        "blocks.1.add",
        "decoder",
    ],
)
def test_a_type_that_cannot_hold_its_tensor_is_refused(tensor, tmp_path):
    """One bit less than it has, which the lowering made the narrowest."""
    for width in (0, -1):
        model = graph("dataflow")
        (note,) = [n for n in model.graph.quantization_annotation if n.tensor_name == tensor]
        entry = note.quant_parameter_tensor_names[0]
        kind, bits = entry.value.split("INT")
        entry.value = f"{kind}INT{int(bits) + width}"
        onnx.save(model, tmp_path / "dataflow.onnx")
        for read in (
            lambda: load_graph(tmp_path / "dataflow.onnx", "dataflow"),
            lambda model=model: estimate_graph(model, find_part("xc7z020")),
        ):
            if width:
                with pytest.raises(ExportError, match=f"{tensor}: annotated {entry.value}, and its codes reach from"):
                    read()
            else:
                read()


def test_rates_and_clocks_are_numbers():
    for asked in ({"fps": np.inf}, {"fps": 1e12}, {"fps": np.nan}, {"fps": 0}, {"clock_mhz": np.inf}, {"clock_mhz": -1}):
        with pytest.raises(ExportError, match=f"{next(iter(asked))} must be a number from 0.001 to 1e[+]09, not"):
            estimate_graph(graph("dataflow"), find_part("xc7z020"), **asked)


def gelu() -> onnx.ModelProto:
    return step_graph(small_model(small_config(model={"activation": "gelu", "layers": 1}))[1].network)


def longer(model):
    limit = constant(model, "blocks.0.activation_last")
    limit.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(limit) + 1, limit.name))


def unclipped(model):
    next(node for node in model.graph.node if node.op_type == "Cast").input[0] = "blocks.0.activation.place"


def cast_only(model):
    next(node for node in model.graph.node if node.op_type == "Clip").op_type = "Neg"


def of_places(model):
    model.graph.node.append(
        helper.make_node("Add", ["blocks.0.activation_index", "blocks.0.activation_index"], ["twice"], name="twice")
    )


def places_out(model):
    model.graph.output.append(helper.make_tensor_value_info("blocks.0.activation_index", TensorProto.INT64, [1, 4]))


def of_floats(model):
    next(node for node in model.graph.node if node.op_type == "Gather").input[1] = "blocks.0.activation_inside"


def computed(model):
    next(node for node in model.graph.node if node.op_type == "Gather").input[0] = "blocks.0.ssm_quant"


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (longer, r"blocks\.0\.activation: its place in the table is not clipped to it"),
        (unclipped, r"blocks\.0\.activation: its place in the table is not clipped to it"),
        (cast_only, r"node Clip_blocks\.0\.activation_inside: Neg takes 1 operands"),
        (of_places, "twice: Add of a place in a table, which only a Gather reads"),
        (places_out, r"blocks\.0\.activation_index: the metadata .ssmq\.formats. say nothing of this port"),
        (of_floats, r"blocks\.0\.activation: its place in the table is not clipped to it"),
        (computed, r"blocks\.0\.activation: a Gather wants a constant row and a computed place in it"),
    ],
)
def test_a_table_is_read_inside_its_bounds_or_refused(fault, message):
    model = gelu()
    assert [n.op_type for n in admit(model, "step").graph.node] == [n.op_type for n in model.graph.node]
    fault(model)
    with pytest.raises(ExportError, match=message):
        admit(model, "step")
