"""Grid and range of every exact tensor: exact where operands are independent, and never too small."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hand_graphs import dataflow, fmt, port, step, weight
from hypothesis import given
from hypothesis import strategies as st
from ssmq_export.errors import ExportError
from ssmq_export.lowering.clean import clean
from ssmq_export.lowering.fold import fold
from ssmq_export.lowering.ranges import columns, grids_of


def grids(draw, **options):
    graph = step(draw, **options)
    clean(graph)
    return grids_of(graph)


def ends(grid) -> list[list[int]]:
    return [grid.exponent.tolist(), grid.low.tolist(), grid.high.tolist()]


def test_rule_1_ports_quants_and_counts_have_the_range_of_their_format():
    def draw(g):
        port(g, "u", 2, fmt(4, [-3, 1]))
        port(g, "v", 1, fmt(5, -2, signed=False))
        g.quant("u", "q", fmt(3, [0, -1]), 2)
        g.output("q", 2)
        g.quant(g.node("Relu", ["v"], "t", 1), "r", fmt(2, -1, signed=False), 1)
        g.output("r", 1)

    graph = step(draw)
    found = grids_of(graph)
    assert ends(found["u"]) == [[-3, 1], [-8, -8], [7, 7]]
    assert ends(found["v"]) == [[-2], [0], [31]]
    assert ends(found["q"]) == [[0, -1], [-4, -4], [3, 3]]
    assert ends(found["r"]) == [[-1], [0], [3]]
    assert "t" not in found
    fold(graph)
    counted = grids_of(graph)
    assert ends(counted["q_codes"]) == [[0, 0], [-4, -4], [3, 3]]
    assert ends(counted["q"]) == [[0, -1], [-4, -4], [3, 3]]


def test_rule_1_a_count_has_as_many_codes_as_thresholds():
    def draw(g):
        g.input("u", 2)
        attributes = {"out_dtype": "INT8", "out_scale": 1.0, "out_bias": -3.0, "data_layout": "NC"}
        g.node("MultiThreshold", ["u", g.constant("rows", ((1, 2, 5, 9),))], "y", 2, "qonnx.custom_op.general", **attributes)
        g.output("y", 2)

    graph = dataflow(draw, u="INT8", y="INT8")
    graph.exponents["u"] = np.array([-4])  # of no concern where tensors hold codes
    found = grids_of(graph)
    assert ends(found["y"]) == [[0, 0], [-3, -3], [1, 1]] and ends(found["u"]) == [[0, 0], [-128] * 2, [127] * 2]


@pytest.mark.parametrize("matrix", ["computed", "of no known grid"])
def test_a_matrix_that_is_no_parameter_gives_no_grid(matrix):
    def draw(g):
        port(g, "u", 2, fmt(4))
        given = port(g, "m", 2, fmt(4)) if matrix == "computed" else g.constant("m", np.ones((2, 2)))
        g.output(g.node("MatMul", ["u", given], "y", 2), 2)

    assert grids_of(step(draw)).keys() == {"u", "m"} - ({"m"} if matrix != "computed" else set())


@pytest.mark.parametrize("op", ["Add", "Sub", "Mul"])
@pytest.mark.parametrize("signed", [(True, True), (True, False), (False, False)])
def test_rule_2_a_join_reaches_its_ends_and_no_more(op, signed):
    left, right = fmt(3, -2, signed[0]), fmt(2, 1, signed[1])

    def draw(g):
        port(g, "u", 1, left)
        port(g, "v", 1, right)
        g.output(g.node(op, ["u", "v"], "y", 1), 1)

    found = grids(draw)["y"]
    function = {"Add": np.add, "Sub": np.subtract, "Mul": np.multiply}[op]
    values = [function(a * 0.25, b * 2.0) for a in range(left.low, left.high + 1) for b in range(right.low, right.high + 1)]
    unit = 2.0 ** found.exponent[0]
    assert (found.low[0] * unit, found.high[0] * unit) == (min(values), max(values))
    assert found.exponent[0] == (-1 if op == "Mul" else -2)


@pytest.mark.parametrize("op", ["Add", "Sub", "Mul"])
@pytest.mark.parametrize("first", [True, False])
def test_rule_2_a_constant_is_a_range_of_one_code(op, first):
    def draw(g):
        port(g, "u", 2, fmt(3, [-2, 0]))
        operands = ["u", g.weight("w", weight([[3, -5]], -1))]
        g.output(g.node(op, operands if first else operands[::-1], "y", 2), 2)

    found = grids(draw)["y"]
    function = {"Add": np.add, "Sub": np.subtract, "Mul": np.multiply}[op]
    codes = np.arange(-4, 4)[:, None]
    u, w = codes * [0.25, 1.0], np.array([1.5, -2.5])
    values = function(u, w) if first else function(w, u)
    unit = np.ldexp(1.0, found.exponent)
    assert np.array_equal(found.low * unit, values.min(axis=0)) and np.array_equal(found.high * unit, values.max(axis=0))


def test_rule_2_a_matrix_product_reaches_its_ends():
    codes = np.array([[2, 0], [-3, 1], [0, -1]])

    def draw(g):
        port(g, "u", 3, fmt(3, [0, -1, 2], signed=False))
        g.output(g.node("MatMul", ["u", g.weight("w", weight(codes, -1))], "y", 2), 2)

    found = grids(draw)["y"]
    inputs = np.array(list(itertools.product(range(8), repeat=3))) * [1, 0.5, 4]
    values = inputs @ (codes * 0.5)
    unit = np.ldexp(1.0, found.exponent)
    assert np.array_equal(found.low * unit, values.min(axis=0)) and np.array_equal(found.high * unit, values.max(axis=0))


def running(length_bits=10, name="pool", **options):
    def draw(g):
        port(g, "u", 2, fmt(4, -2))
        port(g, name, 2, fmt(length_bits, -2))
        g.output(g.node("Add", [name, "u"], "pool_next", 2), 2)

    return grids(draw, **options)


def test_rule_3_a_running_sum_has_the_range_of_its_port():
    assert ends(running()["pool_next"]) == [[-2, -2], [-512] * 2, [511] * 2]
    assert ends(running(name="other")["pool_next"]) == [[-2, -2], [-520] * 2, [518] * 2]


def test_rule_4_a_table_has_the_format_of_its_quantizer():
    def draw(g):
        port(g, "u", 2, fmt(4, -3))
        g.quant(g.node("Mul", ["u", g.constant("c", -0.9)], "t", 2), "y", fmt(3, -2), 2)
        g.output("y", 2)

    graph = step(draw)
    fold(graph)
    found = grids_of(graph)
    assert ends(found["y_codes"]) == [[0, 0], [-4, -4], [3, 3]] and ends(found["y"])[0] == [-2, -2]


def test_casts_of_sums_pass_the_grid_on():
    def draw(g):
        port(g, "u", 2, fmt(4, -2))
        g.output(g.node("Cast", ["u"], "y", 2, to=11), 2)
        g.output(g.node("Cast", [g.node("Relu", ["u"], "t", 2)], "z", 2, to=11), 2)

    found = grids(draw, double=True)
    assert ends(found["y"]) == ends(found["u"]) and "z" not in found


@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_columns_keep_every_value_on_the_coarsest_grid_that_holds_them(inputs, outputs, seed):
    rng = np.random.default_rng(seed)
    codes = rng.integers(-7, 8, (inputs, outputs)) * rng.integers(0, 2, (inputs, outputs))
    exponent, source = rng.integers(-9, 9, (inputs, outputs)), rng.integers(-5, 5, inputs)
    found, column = columns(codes, exponent, source)
    assert np.array_equal(np.ldexp(found.astype(float), column), np.ldexp(codes.astype(float), exponent + source[:, None]))
    for k in range(outputs):
        used = codes[:, k] != 0
        combined = (exponent + source[:, None])[:, k]
        assert column[k] == (combined[used] if used.any() else combined).min()


def test_a_tensor_whose_codes_are_too_wide_is_named():
    def draw(g):
        port(g, "u", 1, fmt(32, 0))
        g.node("Mul", ["u", "u"], "square", 1)
        g.output(g.node("Mul", ["square", "u"], "cube", 1), 1)

    with pytest.raises(ExportError, match="^square: its codes need more than 62 bits"):
        grids_of(step(draw))


def test_weights_that_one_grid_cannot_hold_are_refused():
    codes, exponent, inputs = np.array([[1], [1]]), np.array([[0], [0]]), np.array([0, 60])
    found, column = columns(codes, exponent, inputs)
    assert found.tolist() == [[1], [2**60]] and column.tolist() == [0]
    for wide in (inputs + [0, 1], inputs * 2):
        with pytest.raises(ExportError, match="its weights need more than 62 bits on one grid"):
            columns(codes, exponent, wide)
