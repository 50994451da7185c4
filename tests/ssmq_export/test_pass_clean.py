"""Pass 1: parameters lose their Quant, and a Quant that changes nothing goes. Rule by rule."""

from __future__ import annotations

import numpy as np
import pytest
from hand_graphs import computed, every_code, fmt, nodes, op_types, port, step, weight
from ssmq_export.errors import ExportError
from ssmq_export.lowering import PASSES
from ssmq_export.lowering.clean import clean


def scaled(values, exponent=0, bits=8, double=False):
    """y = u * weight, two channels."""

    def draw(g):
        port(g, "u", 2, fmt(4))
        g.node("Mul", ["u", g.weight("w", weight(values, exponent, bits))], "y", 2)
        g.output("y", 2)

    return step(draw, double)


@pytest.mark.parametrize("double", [False, True], ids=["float", "double"])
@pytest.mark.parametrize("exponent", [-3, [[-3, 2]]], ids=["one grid", "a grid a channel"])
def test_rule_1_a_parameter_is_an_initialiser_under_the_name_of_its_result(double, exponent):
    graph = scaled([[5, -7]], exponent, double=double)
    before = computed(graph, {"u": every_code(2, -8, 7)})["u"] * np.ldexp([5, -7], np.ravel(exponent))
    # Its grid is that of its Quant, whether the graph notes it or not.
    graph.exponents.pop("w")
    clean(graph)
    assert nodes(graph) == [("Mul", "u", "w", "y")]
    assert graph.constants["w"].dtype == (np.float64 if double else np.float32)
    assert np.array_equal(graph.constants["w"], np.ldexp([[5, -7]], exponent))
    assert graph.exponents["w"].tolist() == np.squeeze(exponent).tolist()
    assert np.array_equal(every_code(2, -8, 7) * graph.constants["w"], before)


def test_rule_1_only_a_grid_of_its_own_and_a_power_of_two():
    graph = scaled([[5, -7]])
    graph.constants["w_param"] = graph.constants["w_param"] + np.float32([[0, 0.5]])
    with pytest.raises(ExportError, match="node Quant_w: parameter w_param does not lie on its own grid"):
        clean(graph)
    graph = scaled([[5, -7]], [[0, 1]])
    graph.constants["w_scale"] = np.float32([[1, 3]])
    with pytest.raises(ExportError, match="node Quant_w: its scale is not a power of two"):
        clean(graph)
    graph = scaled([[5, -7]])
    graph.nodes[0].op_type = "Relu"
    with pytest.raises(ExportError, match="node Quant_w: only a Quant may stand between a parameter and its consumer"):
        clean(graph)


def test_rule_1_nothing_but_a_cast_stands_behind_the_quant():
    def draw(g):
        port(g, "u", 2, fmt(4))
        g.weight("w", weight([[5, -7]]))
        g.node("Mul", ["u", g.node("Neg", ["w"], "opposite", 2)], "y", 2)
        g.output("y", 2)

    with pytest.raises(ExportError, match="node Neg_opposite: only a Quant may stand between"):
        clean(step(draw))


@pytest.mark.parametrize("codes", [[[8, -8]], [[7, -9]]])
def test_rule_1_a_parameter_that_its_quant_would_clip_is_refused(codes):
    clean(scaled([[7, -8]], bits=4))
    with pytest.raises(ExportError, match="parameter w_param does not lie on its own grid"):
        clean(scaled(codes, bits=4))


def requantized(source, target, double=False, port_too=False):
    """q = Quant(u), read twice."""

    def draw(g):
        port(g, "u", 2, source)
        g.quant("u", "q", target, 2)
        g.node("Add", ["q", "q"], "twice", 2)
        g.node("Mul", ["q", g.weight("w", weight([[3, 5]]))], "y", 2)
        g.output("y", 2)
        g.output("twice", 2)
        if port_too:
            g.output("q", 2)

    return step(draw, double)


IDLE = {
    "the same format": (fmt(4, -2), fmt(4, -2)),
    "a wider one": (fmt(4, -2), fmt(5, -2)),
    "unsigned in signed": (fmt(4, -2, signed=False), fmt(5, -2)),
    "a grid a channel": (fmt(4, [-2, 1]), fmt(4, [-2, 1])),
}


@pytest.mark.parametrize("double", [False, True], ids=["float", "double"])
@pytest.mark.parametrize("formats", IDLE.values(), ids=IDLE)
def test_rule_2_a_quant_that_changes_nothing_disappears(formats, double):
    graph = requantized(*formats, double)
    codes = {"u": every_code(2, *((0, 15) if not formats[0].signed else (-8, 7)))}
    before = computed(graph, codes)
    clean(graph)
    assert nodes(graph) == [("Add", "u", "u", "twice"), ("Mul", "u", "w", "y")]
    after = computed(graph, codes)
    assert np.array_equal(before["q"], after["u"])


NOT_IDLE = {
    "one bit less": (fmt(5, -2), fmt(4, -2)),
    "a lower end": (fmt(4, -2), fmt(4, -2, signed=False)),
    "an upper end": (fmt(4, -2, signed=False), fmt(4, -2)),
    "a coarser grid": (fmt(4, -2), fmt(4, -1)),
    "a finer grid": (fmt(4, -2), fmt(6, -3)),
    "another grid in one channel": (fmt(4, [-2, 1]), fmt(4, [-2, 2])),
}


@pytest.mark.parametrize("double", [False, True], ids=["float", "double"])
@pytest.mark.parametrize("formats", NOT_IDLE.values(), ids=NOT_IDLE)
def test_rule_2_any_other_quant_stays(formats, double):
    graph = requantized(*formats, double)
    clean(graph)
    assert op_types(graph) == ["Quant", *(["Cast"] if double else []), "Add", "Mul"]


@pytest.mark.parametrize("double", [False, True], ids=["float", "double"])
def test_rule_2_a_port_keeps_its_quant(double):
    graph = requantized(fmt(4), fmt(4), double, port_too=True)
    clean(graph)
    assert op_types(graph) == ["Quant", *(["Cast"] if double else []), "Add", "Mul"]


@pytest.mark.parametrize("double", [False, True], ids=["float", "double"])
def test_rule_3_a_parameter_that_several_nodes_read_becomes_one_a_node(double):
    """Each comes onto the grid of its own reader later."""

    def draw(g):
        port(g, "u", 2, fmt(4, [-2, 0]))
        shared = g.weight("w", weight([[3, 5]], -3))
        for op, name in (("Mul", "a"), ("Add", "b"), ("Sub", "c")):
            g.node(op, ["u", shared], name, 2)
            g.note_format(name, fmt(24, -3))
            g.output(name, 2)

    graph = step(draw, double)
    codes = {"u": every_code(2, -8, 7)}
    before = computed(graph, codes)
    clean(graph)
    assert nodes(graph) == [("Mul", "u", "w", "a"), ("Add", "u", "w_of_b", "b"), ("Sub", "u", "w_of_c", "c")]
    once = graph.model()
    clean(graph)
    assert graph.model() == once
    for run in PASSES:
        run(graph)
    after = computed(graph, codes)
    assert all(np.array_equal(before[name], after[name]) for name in "abc")
