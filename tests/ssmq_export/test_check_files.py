"""What is judged at all: files that hold a graph, with names that are text; and in what order."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from ssmq_export.checks import RULES, check_file, check_model
from ssmq_export.errors import ExportError

PLACES = (
    "onnx.NodeProto.name",
    "onnx.NodeProto.input",
    "onnx.GraphProto.name",
    "onnx.OperatorSetIdProto.domain",
    "onnx.TensorProto.name",
    "onnx.TypeProto.denotation",
)


def model(**named: str) -> onnx.ModelProto:
    """A Relu with a graph in an attribute; ``named`` gives places of ``PLACES`` a text."""
    text = {place: named.get(place, "t") for place in PLACES}
    port = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in ("u", "y")]
    port[0].type.denotation = text["onnx.TypeProto.denotation"]
    # Bytes of a constant are no text: 0xff 0xff 0xff 0xff.
    held = helper.make_graph(
        [],
        text["onnx.GraphProto.name"],
        [],
        [],
        [numpy_helper.from_array(np.array([-1], np.int32), text["onnx.TensorProto.name"])],
    )
    node = helper.make_node(
        "Relu",
        ["u", text["onnx.NodeProto.input"]],
        ["y"],
        name=text["onnx.NodeProto.name"],
        held=held,
        ratio=1.0,
        scales=[1, 2],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(text["onnx.OperatorSetIdProto.domain"], 1)]
    return helper.make_model(helper.make_graph([node], "g", port[:1], port[1:]), opset_imports=opsets)


@pytest.mark.parametrize("place", PLACES)
def test_a_name_that_is_no_text_is_refused_with_its_field(tmp_path, place):
    path = tmp_path / "g.onnx"
    content = model(**{place: "QQQQ"}).SerializeToString()
    assert content.count(b"QQQQ") == 1
    path.write_bytes(content.replace(b"QQQQ", b"\xff\xfe\xff\xfe"))
    told = f"the model holds text that is not UTF-8 ({place}); export it again"
    with pytest.raises(ExportError, match=f"^{re.escape(f'{path}: {told}')}$"):
        check_file(path)
    with pytest.raises(ExportError, match=f"^{re.escape(told)}$"):
        check_model(onnx.load(path))


def test_findings_come_in_the_order_of_the_catalogue(tmp_path):
    onnx.save(model(), tmp_path / "g.onnx")
    found = check_file(str(tmp_path / "g.onnx"))
    order = [rule.id for rule in RULES]
    places = [order.index(finding.rule) for finding in found]
    assert len(set(places)) > 2 and places == sorted(places)
    assert found == check_model(model()) and all(finding.as_dict()["rule"] == finding.rule for finding in found)


def parts(*, ir=8, graph=True, nodes=True) -> bytes:
    made = model()
    if not ir:
        made.ClearField("ir_version")
    if not nodes:
        del made.graph.node[:]
    if not graph:
        made.ClearField("graph")
    return made.SerializeToString()


@pytest.mark.parametrize(
    "content, told",
    [
        (b"", "the file is empty; export it again"),
        (b"no ONNX", "not an ONNX file, or a truncated one (DecodeError); export it again"),
        (parts()[:-5], "not an ONNX file, or a truncated one (DecodeError); export it again"),
        (parts(graph=False), "holds no ONNX graph; export it again"),
        (parts(ir=0, nodes=False), "holds no ONNX graph; export it again"),
    ],
)  # fmt: skip
def test_a_file_without_a_graph_is_refused_in_one_line(tmp_path, content, told):
    path = tmp_path / "g.onnx"
    path.write_bytes(content)
    with pytest.raises(ExportError, match=f"^{re.escape(f'{path}: {told}')}$"):
        check_file(path)


@pytest.mark.parametrize("name", ["missing.onnx", "."])
def test_what_is_no_file_is_refused(tmp_path, name):
    with pytest.raises(ExportError, match="no such file; give the path of an .onnx file$"):
        check_file(tmp_path / Path(name))


@pytest.mark.parametrize("content, rule", [(parts(ir=0), "operand-count"), (parts(nodes=False), "empty-graph")])
def test_a_graph_that_is_incomplete_is_judged(tmp_path, content, rule):
    path = tmp_path / "g.onnx"
    path.write_bytes(content)
    assert rule in {finding.rule for finding in check_file(path)}


def test_data_outside_the_file_is_never_read(tmp_path):
    made = model()
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="there is none")
    made.graph.initializer.append(tensor)
    onnx.save(made, tmp_path / "g.onnx")
    assert "external-data" in {finding.rule for finding in check_file(tmp_path / "g.onnx")}
