"""Shapes and types of one node's outputs: QONNX's operators as qonnx infers them, the standard ones as ONNX does."""

from __future__ import annotations

import itertools

import numpy as np
import onnx
import pytest
from foreign_graphs import QONNX
from onnx import TensorProto, helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.infer_shapes import InferShapes
from ssmq_export.checks.shapes import SHORT, MisfitError, dims, inferred, schema_of

FLOAT = TensorProto.FLOAT


def kind(shape, element=FLOAT):
    return helper.make_tensor_type_proto(element, shape)


def outputs(node: onnx.NodeProto, *shapes, constants=None, opset=18, element=FLOAT) -> dict[str, list[int] | None]:
    operands = [None if shape is None else kind(shape, element) for shape in shapes]
    found = inferred(node, operands, lambda name: (constants or {}).get(name), opset)
    return {name: dims(found_kind) for name, found_kind in found.items()}


def qonnx_shape(node: onnx.NodeProto, *shapes) -> list[int]:
    """What qonnx itself infers."""
    infos = [helper.make_tensor_value_info(name, FLOAT, shape) for name, shape in zip(node.input, shapes, strict=True)]
    out = helper.make_tensor_value_info("y", FLOAT, None)
    model = helper.make_model(
        helper.make_graph([node], "g", infos, [out]), opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid(QONNX, 1)]
    )
    wrapped = ModelWrapper(model)
    for name in node.input:
        wrapped.set_tensor_datatype(name, DataType["BINARY"])
    return list(wrapped.transform(InferShapes()).get_tensor_shape("y"))


def custom(op: str, inputs=("x",), domain=QONNX, **attributes) -> onnx.NodeProto:
    return helper.make_node(op, list(inputs), ["y"], domain=domain, **attributes)


IM2COL = [
    {"kernel_size": [3, 2], "stride": [2, 1]},
    {"kernel_size": [2, 3], "stride": [1, 2]},
    {"kernel_size": [2, 2], "stride": [1, 1], "pad_amount": [1, 2, 3, 4]},
    {"kernel_size": [2, 3], "stride": [2, 3], "pad_amount": [0, 1, 0, 2], "dilations": [2, 1]},
    {"kernel_size": [3, 2], "stride": [1, 1], "dilations": [1, 3]},
]
POOLS = [
    {"kernel_shape": [3, 2], "strides": [2, 1], "pads": [0, 0, 0, 0]},
    {"kernel_shape": [2, 3], "strides": [1, 2], "pads": [1, 2, 1, 2]},
]
MEANS = [
    {"kernel": kernel, "stride": stride, "ibits": 4, "obits": 4, "signed": 0, **layout}
    for kernel, stride, layout in itertools.product((2, 3), (1, 2), ({}, {"data_layout": "NCHW"}, {"data_layout": "NHWC"}))
]
IMAGE = (2, 7, 10, 5)
ONE = (1, 7, 10, 5)
QONNX_CASES = [
    *(("Im2Col", given | {"input_shape": "(1,7,10,5)"}, [ONE]) for given in IM2COL),
    *(("MaxPoolNHWC", given, [IMAGE]) for given in POOLS),
    *(("QuantAvgPool2d", given, [IMAGE]) for given in MEANS),
    ("XnorPopcountMatMul", {}, [(2, 3, 4), (4, 5)]),
]


@pytest.mark.parametrize(("op", "given", "shapes"), QONNX_CASES)
def test_a_shape_of_qonnxs_operators_is_what_qonnx_infers(op, given, shapes):
    node = custom(op, ["x", "w"][: len(shapes)], **given)
    assert outputs(node, *shapes) == {"y": qonnx_shape(node, *shapes)}


@pytest.mark.parametrize("op", ["MultiThreshold", "Quant", "IntQuant", "BipolarQuant", "Trunc", "FloatQuant"])
def test_quantizers_keep_shape_and_container(op):
    for domain in (QONNX, "onnx.brevitas"):
        found = inferred(custom(op, domain=domain), [kind((2, 3), TensorProto.DOUBLE)], lambda name: None, 18)
        assert (dims(found["y"]), found["y"].tensor_type.elem_type) == ([2, 3], TensorProto.DOUBLE)


NOTHING = {
    "another domain": (custom("Quant", domain="com.example"), [(2, 3)]),
    "another operator": (custom("Other"), [(2, 3)]),
    "no operand": (helper.make_node("Quant", [], ["y"], domain=QONNX), []),
    "an operand without a type": (custom("Quant"), [None]),
    "no output": (helper.make_node("Quant", ["x"], [], domain=QONNX), [(2, 3)]),
    "a shape that is not known": (custom("Quant"), [("n", 3)]),
    "no attributes": (custom("Im2Col"), [IMAGE]),
    "text for a size": (custom("Im2Col", kernel_size="ab", stride=[1, 1]), [IMAGE]),
    "a stride of 0": (custom("Im2Col", kernel_size=[2, 2], stride=[0, 1]), [IMAGE]),
    "one size of two": (custom("Im2Col", kernel_size=[2], stride=[1, 1]), [IMAGE]),
    "three dimensions": (custom("QuantAvgPool2d", kernel=2, stride=1), [(7, 10, 5)]),
    "no room for the kernel": (custom("MaxPoolNHWC", kernel_shape=[8, 2], strides=[1, 1], pads=[0] * 4), [IMAGE]),
    "a size beyond all": (custom("Im2Col", kernel_size=[1, 1], stride=[1, 1], pad_amount=[1 << 62, 0, 0, 0]), [IMAGE]),
    "a second operand without a shape": (custom("XnorPopcountMatMul", ["x", "w"]), [(2, 4), None]),
    "a standard operator without a definition": (helper.make_node("Nonsense", ["x"], ["y"]), [(2, 3)]),
    "a standard operand without a type": (helper.make_node("Add", ["x", "w"], ["y"]), [(2, 3), None]),
    "a graph inside": (helper.make_node("If", ["x"], ["y"]), [()]),
}


@pytest.mark.parametrize("name", NOTHING)
def test_what_cannot_be_known_is_left_open(name):
    node, shapes = NOTHING[name]
    assert outputs(node, *shapes) == {}


def test_a_kernel_that_just_fits_has_room():
    node = custom("MaxPoolNHWC", kernel_shape=[7, 10], strides=[1, 1], pads=[0] * 4)
    assert outputs(node, IMAGE) == {"y": [2, 1, 1, 5]}


def test_the_largest_size_is_one():
    found = outputs(custom("Im2Col", kernel_size=[1, 1], stride=[1, 1], pad_amount=[(1 << 62) - 8, 0, 0, 0]), IMAGE)
    assert found == {"y": [2, (1 << 62) - 1, 10, 5]}


@pytest.mark.parametrize("domain", ["", "ai.onnx"])
def test_a_standard_operator_is_inferred_by_its_definition(domain):
    node = helper.make_node("MatMul", ["x", "w"], ["y"], domain=domain)
    assert outputs(node, (2, 3, 4), (4, 5)) == {"y": [2, 3, 5]}


def test_an_operand_left_out_is_no_operand():
    node = helper.make_node("Clip", ["x", "", "m"], ["y"])
    assert outputs(node, (2, 3), None, ()) == {"y": [2, 3]}


@pytest.mark.parametrize(("sizes", "known"), [([3, -1], True), ([1] * (SHORT - 1) + [-1], True), ([1] * SHORT + [-1], False)])
def test_short_constants_decide_shapes(sizes, known):
    node = helper.make_node("Reshape", ["x", "sizes"], ["y"])
    found = inferred(node, [kind((2, 6)), kind((len(sizes),), TensorProto.INT64)], {"sizes": np.array(sizes)}.get, 18)
    wanted = [*sizes[:-1], 12 // int(np.prod(sizes[:-1]))]
    assert dims(found.get("y")) == (wanted if known else None)


def test_the_version_of_the_graph_decides_the_definition():
    """Squeeze has its axes as an attribute up to version 12, as an operand from 13 on."""
    node = helper.make_node("Squeeze", ["x"], ["y"], axes=[0])
    assert outputs(node, (1, 3, 1), opset=12) == {"y": [3, 1]}
    with pytest.raises(MisfitError, match="axes"):
        outputs(node, (1, 3, 1), opset=13)
    assert schema_of(node, 12).since_version == 11 and schema_of(node, 13).since_version == 13


def test_versions_outside_onnx_are_the_nearest():
    add = helper.make_node("Add", ["x", "w"], ["y"])
    assert schema_of(add, 10**6).since_version == 14 and schema_of(add, 0).since_version == schema_of(add, 1).since_version == 1
    assert schema_of(helper.make_node("Nonsense", [], []), 18) is None


@pytest.mark.parametrize(
    ("node", "shapes", "words"),
    [
        (helper.make_node("MatMul", ["x", "w"], ["y"]), [(2, 3), (4, 5)], "Incompatible dimensions for matrix multiplication"),
        (helper.make_node("Transpose", ["x"], ["y"], perm=[0, 0]), [(2, 3)], "perm"),
        (helper.make_node("Concat", ["x", "w"], ["y"]), [(2, 3), (2, 3)], "axis"),
    ],
)
def test_what_onnx_refuses_is_a_misfit_and_says_why_in_one_line(node, shapes, words):
    with pytest.raises(MisfitError, match=words) as caught:
        outputs(node, *shapes)
    text = str(caught.value)
    assert "\n" not in text and "[ShapeInferenceError]" not in text and "==>" not in text and len(text) <= 160


def test_shapes_that_are_not_static_are_none():
    assert dims(None) is None and dims(onnx.TypeProto()) is None
    assert (
        dims(kind(None)) is None and dims(kind(("n", 3))) is None and dims(kind((0, 3))) is None and dims(kind((-1, 3))) is None
    )
    assert dims(kind(())) == [] and dims(kind((1, 3))) == [1, 3]


def test_a_long_reason_is_cut():
    """ONNX repeats the whole permutation."""
    with pytest.raises(MisfitError) as caught:
        outputs(helper.make_node("Transpose", ["x"], ["y"], perm=[100] * 100), (1,) * 100)
    assert len(str(caught.value)) == 160
