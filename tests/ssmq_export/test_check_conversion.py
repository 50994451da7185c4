"""Each condition of FINN's conversions: what it takes and what, by one change, it does not. FINN itself is asked in acceptance."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from conversion_cases import conversions
from foreign_graphs import QONNX, Graph
from ssmq_export.checks import check_model

CASES = conversions()


@pytest.mark.parametrize("name", CASES)
def test_the_verdict_on_an_operator_is_finns(name):
    model, words = CASES[name]
    found = [f"{f.rule}: {f.message}" for f in check_model(model) if f.severity == "error"]
    expected = words.split(" + ") if words else []
    assert len(found) == len(expected) and all(f.startswith(e) for f, e in zip(found, expected, strict=True)), found


@pytest.mark.parametrize("name", CASES)
def test_without_shapes_an_operator_gets_no_other_verdict_than_that_they_are_missing(name):
    model, words = copy.deepcopy(CASES[name][0]), CASES[name][1]
    for port in (*model.graph.input, *model.graph.output):
        for size in port.type.tensor_type.shape.dim:
            size.dim_param = "n"
    del model.graph.value_info[:]
    found = [f"{f.rule}: {f.message}" for f in check_model(model) if f.severity == "error"]
    assert all(f.startswith(("static-shapes: ", *filter(None, words.split(" + ")))) for f in found), found


@pytest.mark.parametrize("op", ["MatMul", "XnorPopcountMatMul"])
def test_a_weight_of_unknown_shape_is_not_blamed_for_it(op):
    g = Graph()
    w = g.node("Whatever", [g.constant(np.ones((4, 3)), "BINARY")], None, "BINARY", domain="com.example")
    y = g.node(op, [g.input("u", (1, 4), "BINARY"), w], (1, 3), "UINT3", domain=QONNX if op.startswith("Xnor") else "")
    assert {f.rule for f in check_model(g.model([y])) if f.severity == "error"} <= {"known-domain", "static-shapes"}
