"""Rules of the graph as a graph, condition by condition: order, names, shapes, storage."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from findings import said, severities
from onnx import TensorProto, helper, numpy_helper

ROW = [1, 4]


def value(name: str, shape=ROW):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def graph(*links: str, inputs=("u",), outputs=("y",), constants=(), inner=True) -> onnx.ModelProto:
    """Links "operands > results" as nodes n0, n1 ...: a Relu of one operand, an Add of several."""
    nodes, results = [], []
    for k, link in enumerate(links):
        read, written = (side.split() for side in link.split(">"))
        nodes.append(helper.make_node("Relu" if len(read) == 1 else "Add", read, written, name=f"n{k}"))
        results += [name for name in written if name not in (*inputs, *outputs, *constants)]
    tensors = [numpy_helper.from_array(np.ones(ROW, np.float32), name) for name in constants]
    infos = [value(name) for name in dict.fromkeys(results)] if inner else []
    made = helper.make_graph(nodes, "g", [value(n) for n in inputs], [value(n) for n in outputs], tensors, value_info=infos)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)])


def far(tensor: TensorProto) -> TensorProto:
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="x")
    return tensor


def error(model, rule, *expected):
    return said(model, rule) == list(expected) and severities(model, rule) <= {"error"}


def test_a_graph_without_nodes_is_empty():
    assert error(graph(outputs=()), "empty-graph", ("", "", "the graph has no nodes")) and error(graph("u > y"), "empty-graph")


@pytest.mark.parametrize(
    "links, first, count",
    [
        (("u b > y", "y > b"), "n0", 2),
        (("u > a", "a b > y", "y > b"), "n1", 2),
        (("u > a", "a > b", "b y > y"), "n2", 1),
        (("u c > a", "a > b", "b > c", "c > y"), "n0", 3),  # what is behind lies on none
    ],
)
def test_a_cycle_is_named_by_its_first_node(links, first, count):
    model = graph(*links)
    assert error(model, "acyclic", (first, "", f"{count} nodes lie on a cycle"))
    assert error(model, "node-order")  # there is none


@pytest.mark.parametrize("links", [("u > a", "a > y"), ("u > a", "u a > b", "a b > y"), ("u u > y",), ("u > a", "a a > y")])
def test_a_graph_without_a_cycle_is_none(links):
    assert error(graph(*links), "acyclic") and error(graph(*links), "node-order")


def test_a_tensor_read_before_it_is_made_is_named_once():
    late = graph("a > b", "b > c", "u > a", "c > y")
    assert error(late, "node-order", ("n0", "a", "is used before it is produced")) and error(late, "acyclic")
    second = graph("u > b", "b a > y", "u > a")
    assert error(second, "node-order", ("n1", "a", "is used before it is produced"))
    assert error(graph("u w > y", constants=("w",)), "node-order")
    assert error(graph("u nowhere > y"), "node-order")  # dangling-tensor


def test_of_two_producers_neither_order_nor_cycle_is_judged():
    for links in (("u b > y", "y > b", "u > b"), ("a > y", "u > a", "u > a")):
        model = graph(*links)
        assert error(model, "acyclic") and error(model, "node-order") and said(model, "duplicate-tensor")


def test_every_tensor_has_one_producer():
    assert error(graph("u > a", "u > a", "a > y"), "duplicate-tensor", ("n1", "a", "has 2 producers"))
    assert error(graph("u > a", "u > w", "a w > y", constants=("w",)), "duplicate-tensor", ("n1", "w", "has 2 producers"))
    assert error(graph("u > v", "v > y", inputs=("u", "v")), "duplicate-tensor", ("n0", "v", "has 2 producers"))
    assert error(graph("u w > y", inputs=("u", "w"), constants=("w",)), "duplicate-tensor")  # a constant listed as an input


@pytest.mark.parametrize(
    "field, what, name", [("initializer", "constants", "w"), ("input", "input ports", "u"), ("output", "output ports", "y")]
)
@pytest.mark.parametrize("times", [1, 2])
def test_every_port_and_constant_has_its_own_name(field, what, name, times):
    model = graph("u w > y", constants=("w",))
    entries = getattr(model.graph, field)
    entries.extend([entries[0]] * times)
    assert error(model, "duplicate-tensor", ("", name, f"names {times + 1} {what}"))


def test_what_is_read_comes_from_somewhere():
    told = "is neither a port, a constant nor produced by a node"
    assert error(graph("u nowhere > y"), "dangling-tensor", ("n0", "nowhere", told))
    assert error(
        graph("u > a", "a void > y", outputs=("y", "z")),
        "dangling-tensor",
        ("n1", "void", told),
        ("", "z", "is an output port that nothing produces"),
    )
    model = graph("u w > a", "u a > y", constants=("w",))
    assert error(model, "dangling-tensor")
    model.graph.node[0].input.append("")  # an operand that may be left out
    assert error(model, "dangling-tensor")


def sparse(name="w") -> onnx.SparseTensorProto:
    values = numpy_helper.from_array(np.ones(1, np.float32), name)
    return helper.make_sparse_tensor(values, numpy_helper.from_array(np.array([2]), "places"), ROW)


def test_a_sparse_constant_is_named_with_its_first_reader():
    model = graph("u w > a", "a w > b", "b v > y")
    model.graph.sparse_initializer.extend([sparse("w"), sparse("v"), sparse("t")])
    names = [("", "t"), ("n2", "v"), ("n0", "w")]
    assert error(model, "sparse-constant", *((node, name, "is a sparse constant") for node, name in names))
    assert error(model, "dangling-tensor")


def test_an_output_is_made_by_an_operator():
    assert error(graph("u > y", outputs=("y", "u")), "passed-through", ("", "u", "is an output, and an input too"))
    model = graph("u w > y", outputs=("y", "w"), constants=("w",))
    assert error(model, "passed-through", ("", "w", "is an output, and a constant too"))
    folded = graph("w > a", "u > y", outputs=("y", "a"), constants=("w",))
    assert error(folded, "passed-through", ("", "a", "is an output, and a constant too"))
    kept = graph("u > y", outputs=("y", "w"))
    kept.graph.sparse_initializer.append(sparse())
    assert error(kept, "passed-through")  # sparse-constant


def test_nodes_have_names_of_their_own():
    model = graph("u > a", "a > b", "b > c", "c > y")
    assert said(model, "node-names") == []
    model.graph.node[0].name = model.graph.node[1].name = ""
    assert said(model, "node-names") == [("", "", "2 nodes have no name")]
    model.graph.node[2].name = "n3"
    assert said(model, "node-names") == [("", "", "2 nodes have no name"), ("n3", "", "2 nodes share this name")]
    assert severities(model, "node-names") == {"warning"}


PORT, INNER = "is a port whose shape is not fully static", "has no fully static shape"


def test_ports_have_static_shapes():
    model = graph("u v > y", inputs=("u", "v"))
    model.graph.input[1].type.tensor_type.shape.dim[0].dim_param = "n"
    assert error(model, "static-shapes", ("", "v", PORT))
    model.graph.output[0].type.tensor_type.shape.dim[1].ClearField("dim_value")
    assert error(model, "static-shapes", ("", "v", PORT), ("", "y", PORT))


def test_of_many_ports_without_shapes_five_are_named():
    names = [f"u{k}" for k in range(7)]
    model = graph(*(f"{name} > a{name}" for name in names), "au0 > y", inputs=names)
    for port in model.graph.input:
        port.type.tensor_type.shape.dim[0].ClearField("dim_value")
    assert error(model, "static-shapes", *(("", name, PORT) for name in names[:5]))


@pytest.mark.parametrize("count", [1, 5, 6, 8])
def test_inner_shapes_that_nothing_says_are_named(count):
    """Of an operator that nobody knows; its neighbours' shapes follow from the ports."""
    model = graph("u > a", *(f"a > b{k}" for k in range(count)), "a > y", inner=False)
    for node in model.graph.node[1:-1]:
        node.domain = "com.example"
    told = [(f"n{k + 1}", f"b{k}", INNER) for k in range(min(count, 5))]
    more = [("", "", f"{count - 5} further tensors have no fully static shape")] if count > 5 else []
    assert error(model, "static-shapes", *told, *more)


def test_of_two_producers_of_an_unknown_shape_the_first_is_named():
    model = graph("u > a", "a > b", "a > b", "b > y", inner=False)
    model.graph.node[1].domain = model.graph.node[2].domain = "com.example"
    assert error(model, "static-shapes", ("n1", "b", INNER))


def test_a_shape_that_is_contradicted_is_not_missing_too():
    model = graph("u > a", "a > y")
    model.graph.value_info[0].CopyFrom(value("a", [1, 5]))
    assert error(model, "static-shapes") and said(model, "declared-type")


@pytest.mark.parametrize("shape, batch", [([1, 4], None), ([3, 4], 3), ([4], None), ([2, 1], 2), (["n", 4], None)], ids=str)
def test_one_sample_streams_after_another(shape, batch):
    model = graph("u > y")
    model.graph.input[0].CopyFrom(value("u", shape))
    assert said(model, "batch-size") == ([("", "u", f"has batch {batch}")] if batch else [])
    assert severities(model, "batch-size") <= {"warning"}


def held(place: str) -> tuple[onnx.ModelProto, TensorProto]:
    """A model, and a constant called far that it stores in ``place``."""
    model = graph("u w > y", constants=("w",))
    node, tensor = model.graph.node[0], numpy_helper.from_array(np.ones(1, np.float32), "far")
    inner = helper.make_graph([helper.make_node("Relu", ["far"], ["z"])], "inner", [], [], [tensor])
    whole = sparse("far")
    whole.indices.name = "far"
    if place == "initialiser":
        model.graph.initializer.append(tensor)
        return model, model.graph.initializer[-1]
    if place.startswith("sparse initialiser"):
        model.graph.sparse_initializer.append(whole)
        return model, getattr(model.graph.sparse_initializer[-1], place.split()[-1])
    given = {"tensor": tensor, "graph": inner, "sparse": whole}[place.split()[0]]
    node.attribute.append(helper.make_attribute("held", [given] if "list" in place else given))
    at = node.attribute[-1]
    kind = {"tensor": "t", "graph": "g", "sparse": "sparse_tensor"}[place.split()[0]]
    found = (
        getattr(at, {"t": "tensors", "g": "graphs", "sparse_tensor": "sparse_tensors"}[kind])[0]
        if "list" in place
        else getattr(at, kind)
    )
    return model, {
        "t": found,
        "g": found.initializer[0] if kind == "g" else None,
        "sparse_tensor": getattr(found, place.split()[-1], None),
    }[kind]


@pytest.mark.parametrize(
    "place, label",
    [
        ("initialiser", ""), ("sparse initialiser values", ""), ("sparse initialiser indices", ""), ("tensor", "n0"), ("tensor list", "n0"),
        ("sparse values", "n0"), ("sparse list indices", "n0"), ("graph", ""), ("graph list", ""),
    ],
)  # fmt: skip
def test_constants_are_stored_inside_the_file_wherever_they_are(place, label):
    model, tensor = held(place)
    assert error(model, "external-data")
    far(tensor)
    assert error(model, "external-data", (label, "far", "is stored outside the file"))
    assert error(model, "malformed-constant")


def test_a_constant_s_bytes_fit_its_shape():
    model = graph("u w > y", constants=("w",))
    assert error(model, "malformed-constant")
    model.graph.initializer[0].raw_data += b"1"
    assert error(model, "malformed-constant", ("", "w", "has data that does not fit its shape and type"))


@pytest.mark.parametrize("op", ["MatMul", "Gemm", "Mul", "Conv", "Add"])
@pytest.mark.parametrize("users", [31, 32])
def test_a_constant_of_many_products_is_an_unrolled_sequence(op, users):
    model = graph(*("u w > y" for _ in range(users)), "u v > y", constants=("v", "w"))
    for node in model.graph.node:
        node.op_type = op
    told = op != "Add" and users == 32
    assert said(model, "unrolled-recurrence") == (
        [("n0", "w", "is used by 32 nodes: the sequence is unrolled")] if told else []
    )
    assert severities(model, "unrolled-recurrence") <= {"warning"}


def test_of_unrolled_constants_one_is_told():
    model = graph(*("v w > y" for _ in range(32)), constants=("v", "w"))
    for node in model.graph.node:
        node.op_type = "Mul"
    assert [tensor for _, tensor, _ in said(model, "unrolled-recurrence")] == ["v"]
