"""Pass 3: values become codes, and both sides of a join come onto one grid. Rule by rule."""

from __future__ import annotations

import numpy as np
import pytest
from hand_graphs import computed, every_code, fmt, nodes, op_types, port, step, weight
from ssmq_export.lowering.align import align
from ssmq_export.lowering.clean import clean
from ssmq_export.lowering.fold import fold


def aligned(draw, low=-8, high=7, double=False):
    """The graph after the pass; every tensor that is still there has the same values."""
    graph = step(draw, double)
    clean(graph)
    fold(graph)
    feeds = {name: np.roll(every_code(graph.channels(name), low, high), k, 0) for k, name in enumerate(graph.inputs)}
    before = computed(graph, feeds)
    align(graph)
    after = computed(graph, feeds)
    for name in before.keys() & after.keys():
        assert np.array_equal(before[name], after[name]), name
    assert {*graph.inputs, *graph.outputs} <= before.keys() & after.keys()
    assert graph.form == "dataflow" and all(np.all(c == np.rint(c)) for c in graph.constants.values())
    once = graph.model()
    align(graph)
    assert graph.model() == once
    return graph


def output(g, name, channels, exponent=0):
    g.note_format(name, fmt(24, exponent))
    g.output(name, channels)


def test_rule_1_ports_and_parameters_are_divided_by_their_own_power_of_two():
    def draw(g):
        port(g, "u", 2, fmt(4, [-3, 2]))
        g.node("Mul", ["u", g.weight("w", weight([[5, -7]], [[-2, 4]]))], "y", 2)
        output(g, "y", 2)

    graph = aligned(draw)
    assert nodes(graph) == [("Mul", "u", "w", "y")]
    assert graph.constants["w"].tolist() == [[5, -7]]
    assert graph.exponents["u"].tolist() == [-3, 2] and graph.exponents["y"].tolist() == [-5, 6]


@pytest.mark.parametrize(("source", "rows"), [(-3, 1), ([-3, -3], 1), ([-3, -2], 2)])
def test_rule_1_thresholds_become_codes_of_their_source(source, rows):
    def draw(g):
        port(g, "u", 2, fmt(4, source))
        g.quant("u", "y", fmt(2, -1), 2)
        g.output("y", 2)

    graph = aligned(draw)
    # In codes of 2**-3, levels -1, 0 and 1 of half units start at -6 + 1, -2 and 2 + 1; of 2**-2 at -3 + 1, -1 and 1 + 1.
    assert graph.constants["y_codes_thresholds"].tolist() == [[-5, -2, 3], [-2, -1, 2]][:rows]


@pytest.mark.parametrize("exponent", [-1, [-1, 0]])
def test_rule_2_the_product_with_a_scale_is_the_exponent_of_the_codes(exponent):
    def draw(g):
        port(g, "u", 2, fmt(4, -3))
        g.quant("u", "y", fmt(2, exponent), 2)
        g.node("Add", ["y", "y"], "z", 2)
        output(g, "z", 2)
        g.output("y", 2)

    graph = aligned(draw)
    assert nodes(graph) == [("MultiThreshold", "u", "y_codes_thresholds", "y"), ("Add", "y", "y", "z")]
    assert graph.exponents["y"].tolist() == np.broadcast_to(exponent, 2).tolist() == graph.exponents["z"].tolist()
    assert "y_scale" not in graph.constants and "y_codes" not in graph.infos
    assert graph.datatypes["y"] == "INT2"


def test_rule_2_of_a_table_too():
    def draw(g):
        port(g, "u", 2, fmt(4, -3))
        gate = g.node("Clip", ["u", g.constant("low", -0.5), g.constant("high", 0.7)], "gate", 2)
        g.quant(g.node("Mul", ["u", gate], "t", 2), "y", fmt(3, -2), 2)
        g.output("y", 2)

    graph = aligned(draw)
    assert nodes(graph)[2] == ("Sub", "y_rises", "y_falls", "y") and len(graph.nodes) == 3
    assert graph.exponents["y_rises"].tolist() == graph.exponents["y_falls"].tolist() == [-2, -2]


def test_rule_2_any_other_product_stays():
    """A weight that happens to be a power of two, behind no thresholds."""

    def draw(g):
        port(g, "u", 2, fmt(4, -3))
        g.node("Add", ["u", "u"], "t", 2)
        g.node("Mul", ["t", g.weight("w", weight([[2, 4]]))], "y", 2)
        output(g, "y", 2)

    assert op_types(aligned(draw)) == ["Add", "Mul"]


def test_rule_3_weights_come_onto_the_finest_grid_of_their_column():
    """Of the products' exponents, weight and input together; a zero asks for no grid."""
    codes = np.array([[3, 0, 0], [-2, 5, 0], [1, 0, 0]])

    def draw(g):
        port(g, "u", 3, fmt(4, [-3, 1, 0]))
        g.node("MatMul", ["u", g.weight("w", weight(codes, [[0, -4, -2]]))], "y", 3)
        output(g, "y", 3)

    graph = aligned(draw)
    # Column 0: products at -3, 1 and 0. Column 1: its only one at -3, not at -7. Column 2 is empty: its finest, -5.
    assert graph.exponents["y"].tolist() == [-3, -3, -5]
    assert graph.constants["w"].tolist() == [[3, 0, 0], [-2 * 2**4, 5, 0], [2**3, 0, 0]]


def joined(op, left, right):
    def draw(g):
        port(g, "u", 2, fmt(4, left))
        port(g, "v", 2, fmt(4, right))
        g.node(op, ["u", "v"], "y", 2)
        output(g, "y", 2)

    return draw


@pytest.mark.parametrize("op", ["Add", "Sub"])
def test_rule_4_the_coarser_side_of_a_join_is_multiplied(op):
    assert nodes(aligned(joined(op, -2, -2))) == [(op, "u", "v", "y")]
    graph = aligned(joined(op, -2, 1))
    assert nodes(graph) == [("Mul", "v", "v_shift", "v_aligned"), (op, "u", "v_aligned", "y")]
    assert graph.constants["v_shift"].tolist() == [[8]]
    assert graph.exponents["v_aligned"].tolist() == graph.exponents["y"].tolist() == [-2, -2]
    graph = aligned(joined(op, 1, -2))
    assert nodes(graph) == [("Mul", "u", "u_shift", "u_aligned"), (op, "u_aligned", "v", "y")]
    graph = aligned(joined(op, [-2, 1], [-1, 0]))  # each is the coarser one in one channel
    assert nodes(graph)[:2] == [("Mul", "u", "u_shift", "u_aligned"), ("Mul", "v", "v_shift", "v_aligned")]
    assert graph.constants["u_shift"].tolist() == [[1, 2]] and graph.constants["v_shift"].tolist() == [[2, 1]]
    assert graph.exponents["y"].tolist() == [-2, 0]


@pytest.mark.parametrize("op", ["Add", "Sub"])
def test_rule_4_a_constant_side_is_shifted_where_it_stands(op):
    def draw(g):
        port(g, "u", 2, fmt(4, [-2, -4]))
        g.node(op, ["u", g.weight("w", weight([[3, 5]], -1))], "y", 2)
        output(g, "y", 2)

    graph = aligned(draw)
    assert nodes(graph) == [(op, "u", "w", "y")] and graph.constants["w"].tolist() == [[6, 40]]
    assert graph.exponents["y"].tolist() == [-2, -4]


def test_rule_4_one_product_a_tensor_and_grid_asked_for():
    def draw(g):
        port(g, "u", 2, fmt(4, 2))
        port(g, "v", 2, fmt(4, 1))
        port(g, "w", 2, fmt(4, 0))
        for k, (op, other) in enumerate((("Add", "v"), ("Sub", "v"), ("Add", "w"), ("Sub", "w"))):
            g.node(op, ["u", other], f"y{k}", 2)
            output(g, f"y{k}", 2)

    graph = aligned(draw)
    assert nodes(graph) == [
        ("Mul", "u", "u_shift", "u_aligned"),
        ("Add", "u_aligned", "v", "y0"),
        ("Sub", "u_aligned", "v", "y1"),
        ("Mul", "u", "u_shift_2", "u_aligned_2"),
        ("Add", "u_aligned_2", "w", "y2"),
        ("Sub", "u_aligned_2", "w", "y3"),
    ]
    assert graph.constants["u_shift"].tolist() == [[2]] and graph.constants["u_shift_2"].tolist() == [[4]]
