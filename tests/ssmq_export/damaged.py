"""Graphs of ours to be damaged, and what the door says of them."""

from __future__ import annotations

import functools
import json

import onnx
import pytest
from conftest import small_config, small_model
from onnx import TensorProto, numpy_helper
from ssmq_export.door import admit
from ssmq_export.errors import ExportError
from ssmq_export.from_network import step_graph
from ssmq_export.lowering import collapse, lower

FORMS = ("step", "dataflow", "sequence-dataflow")


@functools.cache
def _graphs() -> dict[str, onnx.ModelProto]:
    step = step_graph(small_model(small_config(model={"norm": "batch", "activation": "relu"}))[1].network)
    dataflow = lower(step)
    return {"step": step, "dataflow": dataflow, "sequence-dataflow": collapse(dataflow)}


def graph(form: str) -> onnx.ModelProto:
    """A copy, to be damaged."""
    copy = onnx.ModelProto()
    copy.CopyFrom(_graphs()[form])
    return copy


def refused(model: onnx.ModelProto, form: str) -> str:
    """The message of the door, which is one printable line of bounded length."""
    with pytest.raises(ExportError) as error:
        admit(model, form)
    message = str(error.value)
    assert message.isprintable() and message.isascii() and len(message) < 500, message
    return message


def node_of(model, output: str):
    return next(node for node in model.graph.node if node.output[0] == output)


def constant(model, name: str) -> TensorProto:
    return next(tensor for tensor in model.graph.initializer if tensor.name == name)


def prop(model, key: str, change) -> None:
    (entry,) = [entry for entry in model.metadata_props if entry.key == key]
    value = json.loads(entry.value)
    change(value)
    entry.value = json.dumps(value)


def number(name: str, value: float):
    def change(model):
        tensor = constant(model, name)
        values = numpy_helper.to_array(tensor).copy()
        values.flat[0] = value
        tensor.CopyFrom(numpy_helper.from_array(values, name))

    return change


def port_entry(name: str, change):
    """``change`` is given all ports of the metadata and that of ``name``."""
    return lambda model: prop(
        model, "ssmq.ports", lambda ports: change(ports, next(entry for entry in ports if entry["name"] == name))
    )
