"""A checked model."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import StringStringEntryProto, TensorAnnotation, helper, numpy_helper

from ..dataflow.keys import FORM_KEY, FORMATS_KEY, LENGTH_KEY, OPSET, QONNX_DOMAIN, SCAN_DOMAIN, SCAN_VERSION
from ..dataflow.quant_function import other_functions
from ..dataflow.text import undecodable_field
from ..errors import ExportError
from . import metadata, values
from .constants import TYPES, constants_within
from .names import printable, refuse_names
from .nodes import checked_nodes
from .shapes import ADVICE, Tensor, declared, infer, port

# Operators that ours are made of mean the same in all of these; before 13 ReduceSum and Clip took attributes.
OLDEST_OPSET, OLDEST_IR = 13, 3
ELEMENTS = {dtype: element for element, dtype in TYPES.items()}
KEPT = "ssmq."


def admit(model: onnx.ModelProto, *forms: str) -> onnx.ModelProto:
    """``model`` made anew of what was checked, of one of ``forms`` (step, dataflow, sequence-dataflow).

    Nodes come in an order of computation with names of their own; every tensor has its shape, for one sequence; constants
    are finite and in the file; formats, states and length fit the ports. Raises ExportError with what does not, and where.
    """
    return _told(model, forms, True)


def admit_part(model: onnx.ModelProto, *forms: str) -> onnx.ModelProto:
    """As ``admit``, of a graph that need not be a whole network: its ports may be any."""
    return _told(model, forms, False)


def _told(model: onnx.ModelProto, forms: tuple[str, ...], whole: bool) -> onnx.ModelProto:
    try:
        return _admitted(model, forms, whole)
    except ExportError as error:
        raise ExportError(printable(str(error))) from error


def _admitted(model: onnx.ModelProto, forms: tuple[str, ...], whole: bool) -> onnx.ModelProto:
    field = undecodable_field(model)
    if field is not None:
        raise ExportError(f"the graph holds text that is not UTF-8 ({field}): {ADVICE}")
    properties = {entry.key: entry.value for entry in model.metadata_props if entry.key.startswith(KEPT)}
    form = _form(properties, forms)
    _check_model(model)
    graph = model.graph
    constants = constants_within(graph)
    refuse_names([graph.name or "graph"], "graph")
    refuse_names(constants, "tensor")
    inputs = _ports([info for info in graph.input if info.name not in constants], form)
    formats = metadata.formats(properties)
    nodes = checked_nodes(graph, form, {*inputs, *constants})
    for name in (name for node in nodes if node.op_type == "Quant" for name in node.input[2:] if name in constants):
        if constants[name].size == 1:
            constants[name] = constants[name].reshape(())
    known = {name: Tensor(array.shape, ELEMENTS[array.dtype.type], False) for name, array in constants.items()}
    tensors = infer(nodes, {**known, **inputs}, constants)
    outputs = _outputs(graph, tensors)
    metadata.check_formats(formats, tensors, [*inputs, *(outputs if whole else [])])
    steps = metadata.length(properties)
    if whole:
        ports = metadata.ports(properties)
        metadata.check_ports(ports, tensors, list(inputs), outputs, form)
        values.check_kept(ports, formats)
    for name, tensor in inputs.items():
        if form == "sequence-dataflow" and steps != tensor.shape[1]:
            raise ExportError(f"{name}: {tensor.shape[1]} steps, but {LENGTH_KEY} says {steps}: {ADVICE}")
    if form == "step":
        properties[FORMATS_KEY] = metadata.written(properties[FORMATS_KEY], formats)
    types: dict[str, str] = {}
    if form == "step":
        values.check_grids(nodes, tensors, constants, formats)
        values.check_tables(nodes, constants, outputs)
    else:
        types = values.datatypes(graph, tensors, constants)
    for entry in ports if whole else []:
        if entry.kind == "input":
            values.check_input(entry, formats[entry.name], types.get(entry.name))
    made = _graph(graph.name or "graph", nodes, (list(inputs), outputs), constants, tensors)
    for name, datatype in types.items():
        entry = StringStringEntryProto(key="finn_datatype", value=datatype)
        made.quantization_annotation.append(TensorAnnotation(tensor_name=name, quant_parameter_tensor_names=[entry]))
    return _model(made, form, properties)


def _graph(
    title: str,
    nodes: list[onnx.NodeProto],
    ports: tuple[list[str], list[str]],
    constants: dict[str, np.ndarray],
    tensors: dict[str, Tensor],
) -> onnx.GraphProto:
    inputs, outputs = ports
    inner = [node.output[0] for node in nodes if node.output[0] not in outputs]
    return helper.make_graph(
        nodes,
        title,
        [declared(name, tensors[name]) for name in inputs],
        [declared(name, tensors[name]) for name in outputs],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
        value_info=[declared(name, tensors[name]) for name in inner],
    )


def _model(graph: onnx.GraphProto, form: str, properties: dict[str, str]) -> onnx.ModelProto:
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(QONNX_DOMAIN, 1)]
    if form == "sequence-dataflow":
        opsets.append(helper.make_opsetid(SCAN_DOMAIN, SCAN_VERSION))
    result = helper.make_model(graph, opset_imports=opsets, producer_name="ssmq", ir_version=9)
    helper.set_model_props(result, properties)
    return result


def _form(properties: dict[str, str], forms: tuple[str, ...]) -> str:
    wanted = " or ".join(f"{form}.onnx" for form in forms)
    form = properties.get(FORM_KEY)
    if form not in forms or FORMATS_KEY not in properties:
        described = f"a {form} graph" if form else "no graph of this program"
        raise ExportError(f"holds {described}; give the {wanted} that `ssmq export` writes")
    return form


def _check_model(model: onnx.ModelProto) -> None:
    newest = onnx.defs.onnx_opset_version()
    versions = [entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")]
    if len(versions) > 1 or not all(OLDEST_OPSET <= version <= newest for version in versions):
        raise ExportError(
            f"the graph is of ONNX opset {', '.join(map(str, versions))}, {OLDEST_OPSET} to {newest} are read: convert it "
            f"with onnx.version_converter"
        )
    if not OLDEST_IR <= model.ir_version <= onnx.IR_VERSION:
        raise ExportError(
            f"the graph is of ONNX IR version {model.ir_version}, {OLDEST_IR} to {onnx.IR_VERSION} are read: {ADVICE}"
        )
    if other_functions(model) or model.training_info:
        raise ExportError(f"the graph brings functions or a training graph of its own, which are not run: {ADVICE}")


def _ports(infos: list[onnx.ValueInfoProto], form: str) -> dict[str, Tensor]:
    refuse_names((info.name for info in infos), "port")
    found = {info.name: port(info, form) for info in infos}
    if len(found) < len(infos) or len({tensor.element for tensor in found.values()}) > 1:
        raise ExportError(f"two input ports have one name, or different element types: {ADVICE}")
    return found


def _outputs(graph: onnx.GraphProto, tensors: dict[str, Tensor]) -> list[str]:
    names = [info.name for info in graph.output]
    computed = {name for node in graph.node for name in node.output}
    for name in names:
        if name not in tensors or not tensors[name].varies or name not in computed or names.count(name) > 1:
            raise ExportError(f"{name}: is an output that no node computes, or one twice: {ADVICE}")
    for info in graph.output:
        dims = [dim.dim_value for dim in info.type.tensor_type.shape.dim]
        if dims and (len(dims) != len(tensors[info.name].shape) or dims[1:] != list(tensors[info.name].shape[1:])):
            raise ExportError(f"{info.name}: declared {dims}, computed {list(tensors[info.name].shape)}: {ADVICE}")
    return names
