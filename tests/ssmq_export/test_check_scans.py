"""Rules of graphs of a whole sequence, condition by condition: the operands of DiagonalScan, and the sum over time."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from findings import said, severities
from foreign_graphs import Graph

OURS = "ssmq_export.custom_op"
PARAMETERS = ("a_re", "a_im", "b_re", "b_im", "c_re", "c_im", "d", "shift")
U = (1, 5, 1, 4)


def scan(
    change: dict | None = None, *, op="DiagonalScan", domain=OURS, port=None, u=U, state_bits=8, drop=0
) -> onnx.ModelProto:
    """Four heads of three modes; ``change`` gives parameters another value, ``port`` names one that is an input."""
    g = Graph()
    g.domains.add(domain)
    values = {**dict.fromkeys(PARAMETERS, np.ones((4, 3))), "d": np.ones(4), "shift": np.array([2]), **(change or {})}
    operands = [g.input("u", u, "INT8")]
    for name, value in values.items():
        operands.append(g.input(name, value.shape, "INT4") if name == port else g.constant(value, "INT4", name=name))
    more = {} if state_bits is None else {"state_bits": state_bits}
    return g.model([g.node(op, operands[: 9 - drop], u, "INT8", domain=domain, **more)])


def messages(model):
    found = said(model, "scan-operands")
    assert all((node, tensor) == ("DiagonalScan_0", "") for node, tensor, _ in found)
    assert severities(model, "scan-operands") <= {"error"}
    return [message for _, _, message in found]


FLAWED = {"b_im": np.ones((4, 2))}
WRONG = "b_im has the shape (4, 2) where a_re has (4, 3)"


@pytest.mark.parametrize(
    "more, expected",
    [
        ({}, []),
        ({"change": FLAWED}, [WRONG]),
        ({"u": (2, 7, 1, 4)}, []),
        ({"u": (1, 5, 1, 3)}, ["a_re has the shape (4, 3), not (channels, modes) of 3 channels"]),
        ({"u": (1, 5, 4)}, ["u is [1, 5, 4], not (B, T, 1, H)"]),
        ({"u": (1, 5, 1, 4, 4)}, ["u is [1, 5, 1, 4, 4], not (B, T, 1, H)"]),
        ({"u": (1, 5, 2, 4)}, ["u is [1, 5, 2, 4], not (B, T, 1, H)"]),
        ({"u": (1, 1, 5, 4)}, ["u is [1, 1, 5, 4], not (B, T, 1, H)"]),
        ({"state_bits": 33}, ["state_bits is 33, not 2 to 32"]),
        ({"state_bits": None}, ["state_bits is None, not 2 to 32"]),
        ({"change": {"shift": np.array([41])}}, ["a shift is no integer from 0 to 40"]),
        ({"change": {**FLAWED, "shift": np.array([-1])}, "state_bits": 1}, [WRONG, "state_bits is 1, not 2 to 32", "a shift is no integer from 0 to 40"]),
        ({"change": FLAWED, "u": ("n", 5, 1, 4)}, []),  # static-shapes
        ({"change": FLAWED, "drop": 1}, []),  # operand-count
        ({"change": FLAWED, "domain": "com.example"}, []),
        ({"change": FLAWED, "op": "Other"}, []),
    ],
)  # fmt: skip
def test_operands_of_a_scan_fit_each_other(more, expected):
    assert messages(scan(**more)) == expected


@pytest.mark.parametrize("name", PARAMETERS)
def test_every_parameter_of_a_scan_is_constant(name):
    expected = [("DiagonalScan_0", name, "is a parameter of a DiagonalScan, and not constant")]
    assert said(scan(FLAWED, port=name), "scan-operands") == expected


def test_shifts_stored_elsewhere_are_not_judged():
    model = scan({"shift": np.array([41])})
    tensor = next(t for t in model.graph.initializer if t.name == "shift")
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="far")
    assert messages(model) == []


def total(axes=(1,), shape=U, *, op="ReduceSum", ours=True, element=np.int64, inner=True, **attributes) -> onnx.ModelProto:
    """u -> Relu -> ReduceSum -> y."""
    g = Graph()
    if ours:
        g.domains.add(OURS)
    operands = [g.node("Relu", [g.input("u", shape, "INT8")], shape, "UINT7", out=["x"])]
    if axes == "port":
        operands.append(g.input("axes", (1,), "INT4", onnx.TensorProto.INT64))
    elif axes is not None:
        operands.append(g.constant(axes, None, element))
    return g.model([g.node(op, operands, (1, 1, 1, 4), "UINT10", out=["y"], **attributes)], inner=inner)


@pytest.mark.parametrize("axes", [[1], [1, 2], [2, 1], [-3], [-3, -2], [1, 2, -3, -2, 1, 2]], ids=str)
def test_a_sum_over_time_alone_is_mapped(axes):
    for inner in (True, False):
        assert said(total(axes, inner=inner), "time-sum") == said(total(axes, keepdims=1), "time-sum") == []


@pytest.mark.parametrize("axes", [[0], [2], [3], [-1], [0, 1], [1, 3], [1, 2, 3], [-1, -2, -3, -4, 1]], ids=str)
def test_a_sum_over_others_is_not(axes):
    assert said(total(axes), "time-sum") == [("ReduceSum_1", "y", f"sums x [1, 5, 1, 4] over axes {axes[:4]}")]
    assert severities(total(axes), "time-sum") == {"error"}


@pytest.mark.parametrize("axes", ["port", None])
def test_axes_that_are_computed_or_left_out_are_told(axes):
    assert said(total(axes), "time-sum") == [("ReduceSum_1", "y", "sums x [1, 5, 1, 4] over computed axes")]


@pytest.mark.parametrize("values", [[np.nan], [1.0]])
def test_axes_that_are_no_integers_are_none(values):
    assert said(total(values, element=np.float32), "time-sum") == [
        ("ReduceSum_1", "y", "sums x [1, 5, 1, 4] over computed axes")
    ]


@pytest.mark.parametrize("shape", [(1, 5, 4), (1, 5, 2, 4), (1, 1, 5, 4), (1, 5, 1, 4, 1)], ids=str)
def test_a_sum_of_another_form_is_told(shape):
    assert said(total(shape=shape), "time-sum") == [("ReduceSum_1", "y", f"sums x {list(shape)} over axes [1]")]


def test_a_sum_that_drops_its_dimensions_is_told():
    assert said(total(keepdims=0), "time-sum") == [("ReduceSum_1", "y", "sums x [1, 5, 1, 4] over axes [1]")]


def test_what_is_no_sum_over_time_is_not_judged_as_one():
    assert said(total([3], ours=False), "time-sum") == []  # conversion
    assert said(total([3], op="ReduceMax"), "time-sum") == []
    assert said(total([3], ("n", 5, 1, 4)), "time-sum") == []  # static-shapes
    model = total([3])
    del model.graph.node[1].input[:]
    assert said(model, "time-sum") == []  # operand-count
