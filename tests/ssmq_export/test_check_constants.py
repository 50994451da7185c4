"""Constants in every form: read as NumPy and ONNX's reference read them, and never from outside."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from ssmq_export.dataflow import constants
from ssmq_export.dataflow.constants import array_of, computed, of_node, sparse

VALUES = np.array([[1, -2, 3], [4, 5, -6]], np.float32)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.int8, np.uint8, np.int64, bool])
def test_a_stored_tensor_is_its_values(dtype):
    values = VALUES.astype(dtype)
    found = array_of(numpy_helper.from_array(values))
    assert found.dtype == dtype and np.array_equal(found, values)


@pytest.mark.parametrize("kind", [TensorProto.BFLOAT16, TensorProto.INT4, TensorProto.UINT4])
def test_a_type_that_numpy_has_not_is_read_as_numbers(kind):
    values = np.array([1, 2, 3, 4], np.float32)
    found = array_of(helper.make_tensor("t", kind, [4], values))
    assert found.dtype.kind in "iuf" and np.array_equal(found, values)


def test_a_tensor_outside_or_damaged_has_no_values():
    tensor = numpy_helper.from_array(VALUES)
    assert array_of(tensor) is not None
    short = TensorProto()
    short.CopyFrom(tensor)
    short.raw_data = tensor.raw_data[:-1]
    assert array_of(short) is None
    tensor.data_location = TensorProto.EXTERNAL
    assert array_of(tensor) is None


def sparse_tensor(values, places, shape):
    given = numpy_helper.from_array(np.asarray(values, np.float32)), numpy_helper.from_array(np.asarray(places, np.int64))
    return helper.make_sparse_tensor(*given, shape)


@pytest.mark.parametrize("places", [[1, 5], [[0, 1], [1, 2]]], ids=["flat", "by dimension"])
def test_a_sparse_tensor_is_dense(places):
    assert np.array_equal(sparse(sparse_tensor([7, 9], places, [2, 3])), [[0, 7, 0], [0, 0, 9]])


@pytest.mark.parametrize(
    ("places", "shape"),
    [([1, 6], [2, 3]), ([[0, 1], [2, 0]], [2, 3]), ([1, 5], [0, 3]), ([0, 0], []), ([1, 5], [-2, -3]), ([1, 2], [1 << 13, (1 << 11) + 1])],
    ids=["behind the last", "row behind the last", "empty", "no dimension", "negative", "too large"],
)  # fmt: skip
def test_a_sparse_tensor_without_meaning_has_no_values(places, shape):
    assert sparse(sparse_tensor([7, 9], places, shape)) is None


def test_a_sparse_tensor_as_large_as_is_read_has_values():
    found = sparse(sparse_tensor([7, 9], [1, 2], [constants.LARGEST]))
    assert found.size == constants.LARGEST and found.sum() == 16


def test_a_sparse_tensor_of_damaged_parts_has_no_values():
    for part in ("values", "indices"):
        damaged = sparse_tensor([7, 9], [1, 5], [2, 3])
        getattr(damaged, part).raw_data = b"\0"
        assert sparse(damaged) is None


@pytest.mark.parametrize(
    "given",
    [
        {"value": numpy_helper.from_array(VALUES)},
        {"value_float": 1.5},
        {"value_floats": [1.5, 2.5]},
        {"value_int": 3},
        {"value_ints": [3, 4]},
        {"sparse_value": sparse_tensor([7, 9], [1, 5], [2, 3])},
    ],
    ids=lambda given: next(iter(given)),
)
def test_a_constant_node_holds_what_onnx_says(given):
    node = helper.make_node("Constant", [], ["y"], **given)
    found = of_node(node)
    if "sparse_value" in given:
        assert np.array_equal(found, [[0, 7, 0], [0, 0, 9]])
        return
    (wanted,) = ReferenceEvaluator(node).run(None, {})
    assert found.dtype == wanted.dtype and np.array_equal(found, wanted)


def test_a_constant_node_without_numbers_has_no_values():
    assert of_node(helper.make_node("Constant", [], ["y"])) is None
    assert of_node(helper.make_node("Constant", [], ["y"], value_string="a")) is None
    assert of_node(helper.make_node("Constant", [], ["y"], value_floats=["a"])) is None
    assert of_node(helper.make_node("Constant", [], ["y"], value_int="a")) is None
    doc = helper.make_node("Constant", [], ["y"], other=3, value_int=4)
    assert of_node(doc) == 4


OTHER = np.array([2, 3, 4], np.float32)
COMPUTED = {
    "Identity": ([VALUES], {}),
    "Neg": ([VALUES], {}),
    "Add": ([VALUES, OTHER], {}),
    "Sub": ([VALUES, OTHER], {}),
    "Mul": ([VALUES, OTHER], {}),
    "Reshape": ([VALUES, np.array([3, 2])], {}),
    "Flatten": ([VALUES[None]], {"axis": 2}),
    "Squeeze": ([VALUES[None], np.array([0])], {}),
    "Unsqueeze": ([VALUES, np.array([0])], {}),
    "Transpose": ([VALUES[None]], {"perm": [2, 0, 1]}),
    "Transpose of two": ([VALUES], {"perm": [1, 0]}),
    "Transpose without perm": ([VALUES[None]], {}),
}


@pytest.mark.parametrize("name", COMPUTED)
def test_what_wraps_a_constant_computes_as_onnx_says(name):
    operands, attributes = COMPUTED[name]
    node = helper.make_node(name.split()[0], [f"x{k}" for k in range(len(operands))], ["y"], **attributes)
    (wanted,) = ReferenceEvaluator(node).run(None, {f"x{k}": v for k, v in enumerate(operands)})
    shape = list(wanted.shape) if node.op_type in constants.RESHAPED else None
    assert np.array_equal(computed(node, operands, shape), wanted)


def node(op: str, **attributes) -> onnx.NodeProto:
    return helper.make_node(op, ["a", "b"], ["y"], **attributes)


LONG = np.zeros((constants.LARGEST // 2, 1), np.int8)


@pytest.mark.parametrize(
    ("made", "operands", "shape"),
    [
        (node("Add"), [], [2, 3]),
        (node("Add"), [None, VALUES], None),
        (node("Add"), [VALUES, None], None),
        (node("Add"), [np.array("a"), VALUES], None),
        (node("Add"), [VALUES, np.array("a")], None),
        (node("Add"), [VALUES, np.ones(4)], None),
        (node("Add"), [LONG, np.zeros(3, np.int8)], None),
        (node("Add"), [VALUES], None),
        (node("Reshape"), [np.array("a")], [1]),
        (node("Reshape"), [VALUES], None),
        (node("Reshape"), [VALUES], [4, 2]),
        (node("Transpose", perm=[0, 0]), [VALUES], None),
        (node("Softmax"), [VALUES], [2, 3]),
    ],
    ids=["no operand", "first unknown", "second unknown", "first text", "second text", "no broadcast", "too large", "one of two",
         "text", "no shape", "another size", "no permutation", "another operator"],
)  # fmt: skip
def test_what_is_not_simple_is_not_computed(made, operands, shape):
    assert computed(made, operands, shape) is None


def test_the_largest_is_computed():
    assert computed(node("Add"), [LONG, np.ones(2, np.int8)], None).shape == (constants.LARGEST // 2, 2)


def test_booleans_and_unsigned_integers_are_numbers():
    assert np.array_equal(computed(node("Identity"), [np.array([True])], None), [True])
    assert np.array_equal(computed(node("Mul"), [np.array([2], np.uint8), np.array([3], np.uint8)], None), [6])
