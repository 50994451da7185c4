"""Names of integer types as qonnx reads them, and attributes of any kind in foreign files."""

from __future__ import annotations

import math

import numpy as np
import pytest
from onnx import helper
from qonnx.core.datatype import DataType
from ssmq_export.checks.catalogue import RULES, catalogue_markdown
from ssmq_export.checks.conversion import TABLE
from ssmq_export.dataflow.attributes import attribute, integer_attribute, integers_attribute, number_attribute, text_attribute
from ssmq_export.dataflow.datatype import bits, integer_range, is_integer, is_signed

INTEGERS = [
    "BINARY",
    "BIPOLAR",
    "TERNARY",
    *(f"{sign}INT{n}" for sign in ("", "U") for n in (1, 2, 3, 4, 8, 9, 10, 16, 24, 31, 32, 33, 64)),
]


@pytest.mark.parametrize("name", INTEGERS)
def test_an_integer_type_is_qonnxs(name):
    known = DataType[name]
    assert integer_range(name) == (known.min(), known.max())
    assert bits(name) == known.bitwidth()
    assert (is_integer(name), is_signed(name)) == (known.is_integer(), known.signed())


@pytest.mark.parametrize("name", ["FLOAT32", "FLOAT16", "FIXED<8,3>", "SCALEDINT<8>"])
def test_other_types_are_no_integers(name):
    assert not is_integer(name) and bits(name) is None and is_signed(name) == DataType[name].signed()


@pytest.mark.parametrize(
    "name", ["", "INT", "INT0", "INT08", "INT-1", "INT 8", "INT8 ", "int8", "XINT8", "UUINT8", "INT10000", "INT\u0663"]
)
def test_a_name_that_is_no_type_has_no_range(name):
    assert integer_range(name) is None and bits(name) is None


def test_the_widest_name_has_a_range():
    assert integer_range("UINT9999") == (0, 2**9999 - 1) and integer_range("INT9999")[0] == -(2**9998)


NODE = helper.make_node("Any", ["x"], ["y"], whole=3, part=2.5, word="text", list=[1, 2], parts=[1.5, 2.5], words=["a", "b"])
NODE.attribute.add(name="untyped").i = 1
NODE.attribute.add(name="empty", type=7)


@pytest.mark.parametrize(
    ("read", "found"),
    [
        (attribute, {"whole": 3, "part": 2.5, "word": "text", "list": [1, 2], "untyped": None, "missing": None}),
        (integer_attribute, {"whole": 3, "part": None, "word": None, "list": None, "untyped": None, "missing": None}),
        (
            integers_attribute,
            {"whole": None, "list": [1, 2], "empty": [], "parts": None, "words": None, "word": None, "missing": None},
        ),
        (
            lambda node, name: text_attribute(node, name, "?"),
            {"whole": "3", "word": "text", "list": "[1, 2]", "untyped": "?", "missing": "?"},
        ),
        (lambda node, name: number_attribute(node, name, 7), {"whole": 3.0, "part": 2.5, "missing": 7.0, "untyped": 7.0}),
    ],
)
def test_an_attribute_is_what_its_place_wants_or_nothing(read, found):
    assert {name: read(NODE, name) for name in found} == found


@pytest.mark.parametrize("name", ["word", "list", "words"])
def test_what_is_no_number_is_not_a_number(name):
    assert math.isnan(number_attribute(NODE, name, 7))


def test_text_that_is_none_is_read_with_marks():
    node = helper.make_node("Any", ["x"], ["y"])
    node.attribute.add(name="word", type=3).s = b"a\xff"
    assert attribute(node, "word") == "a\ufffd"


def test_the_page_names_every_rule_and_every_operator_once():
    lines = catalogue_markdown().splitlines()
    assert [line for line in lines if line.startswith("## `")] == [f"## `{rule.id}` ({rule.severity})" for rule in RULES]
    rows = [line.split("|")[1].strip() for line in lines if line.startswith("| ")]
    assert rows == ["operator", *sorted(TABLE)]
    assert all(f"Fix: {rule.fix}" in lines for rule in RULES) and np.all([op.why for op in TABLE.values()])
