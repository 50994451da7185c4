"""Pass 2: everything between a sum on a grid and its Quant becomes thresholds, or a table. Rule by rule."""

from __future__ import annotations

import numpy as np
import pytest
from hand_graphs import attribute, computed, every_code, fmt, nodes, op_types, port, step, weight
from ssmq_export.errors import ExportError
from ssmq_export.lowering.clean import clean
from ssmq_export.lowering.fold import fold
from ssmq_export.lowering.ranges import is_table


def folded(draw, double=False, channels=2):
    """The graph after, its codes compared with those before."""
    codes = every_code(channels, -32, 31)
    feeds = {"u": codes, "v": codes[::-1]}
    graph = step(draw, double)
    clean(graph)
    before = computed(graph, feeds)
    fold(graph)
    after = computed(graph, feeds)
    for name in before.keys() & after.keys():
        assert np.array_equal(before[name], after[name]), name
    assert set(graph.outputs) <= before.keys() & after.keys()
    return graph


def chain(*nodes, bits=4, exponent=-1, signed=True, channels=2, source=None):
    """u -> ``nodes`` (operator, constant ...) -> Quant y."""

    def draw(g):
        port(g, "u", channels, source or fmt(6, [-3, -2]))
        tensor = "u"
        for k, (op, *constants) in enumerate(nodes):
            names = [g.constant(f"c{k}{i}", np.asarray(values)) for i, values in enumerate(constants)]
            tensor = g.node(op, [tensor, *names], f"t{k}", channels)
        g.quant(tensor, "y", fmt(bits, exponent, signed), channels)
        g.output("y", channels)

    return draw


def norm(gain=((0.7, 0.31),), offset=((-0.4, 1.3),)):
    return ("Mul", gain), ("Add", offset)


CHAINS = {
    "rounding alone": chain(),
    "norm": chain(*norm()),
    "norm and relu": chain(*norm(), ("Relu",), signed=False),
    "norm and clip": chain(*norm(), ("Clip", -1.0, 0.75)),
    "a gain of 0": chain(*norm(((0.0, 0.31),))),
    "a grid a channel": chain(*norm(), exponent=[-2, 0]),
    "a constant grid": chain(*norm(), source=fmt(6, -2)),
    "unsigned": chain(*norm(), signed=False),
}


@pytest.mark.parametrize("op", ["Add", "Sub"])
def test_rule_1_a_sum_that_lies_on_a_grid_is_computed_and_no_chain_begins_before_it(op):
    def draw(g):
        port(g, "u", 2, fmt(6, [-3, -2]))
        g.quant(g.node(op, ["u", "u"], "s", 2), "y", fmt(4, -1), 2)
        g.output("y", 2)

    assert nodes(folded(draw))[:2] == [(op, "u", "u", "s"), ("MultiThreshold", "s", "y_codes_thresholds", "y_codes")]


@pytest.mark.parametrize("draw", CHAINS.values(), ids=CHAINS)
def test_rule_1_a_rising_chain_is_one_multithreshold(draw):
    graph = folded(draw)
    assert nodes(graph) == [
        ("MultiThreshold", "u", "y_codes_thresholds", "y_codes"),
        ("Mul", "y_codes", "y_scale", "y"),
    ]


def test_rule_1_thresholds_by_hand():
    """Codes of u are eighths; y = round(u + 1/2) in 2 bits. Level y starts at 8 (y - 1), its tie included if y is even."""
    graph = folded(chain(("Add", 0.5), bits=2, exponent=0, source=fmt(6, -3)))
    counted = graph.nodes[0]
    starts = np.array([8 * (-1) - 4 - 4 + 1, 0 - 4 - 4, 8 - 4 - 4 + 1])
    assert graph.constants["y_codes_thresholds"].tolist() == [(starts / 8).tolist()]
    assert [attribute(counted, name) for name in ("out_bias", "out_scale", "out_dtype", "data_layout")] == [
        -2,
        1,
        b"INT2",
        b"NC",
    ]
    assert graph.datatypes["y_codes"] == graph.datatypes["y"] == "INT2"


def test_rule_1_one_tensor_may_feed_several_chains_and_sums():
    def draw(g):
        port(g, "u", 2, fmt(6, -3))
        moved = g.node("Add", ["u", g.constant("offset", 0.3)], "moved", 2)
        g.quant(moved, "y", fmt(4, -1), 2)
        g.quant(g.node("Relu", [moved], "positive", 2), "z", fmt(3, -1, signed=False), 2)
        g.node("Add", ["u", "y"], "sum", 2)
        g.note_format("sum", fmt(9, -3))
        for name in ("y", "z", "sum"):
            g.output(name, 2)

    graph = folded(draw)
    assert op_types(graph) == ["MultiThreshold", "Mul", "MultiThreshold", "Mul", "Add"]
    assert [node.input[0] for node in graph.nodes if node.op_type == "MultiThreshold"] == ["u", "u"]


def test_rule_1_a_sum_of_two_tensors_stays_and_its_quant_counts_it():
    def draw(g):
        port(g, "u", 2, fmt(6, -3))
        g.quant("u", "v", fmt(3, -1), 2)
        g.quant(g.node("Sub", ["u", "v"], "rest", 2), "y", fmt(4, -2), 2)
        g.output("y", 2)

    graph = folded(draw)
    assert op_types(graph) == ["MultiThreshold", "Mul", "Sub", "MultiThreshold", "Mul"]
    assert nodes(graph)[3][1] == "rest"


FALLING = {
    "every channel": chain(("Mul", -0.7), exponent=-1, source=fmt(6, -3)),
    "one channel": chain(("Mul", ((-0.7, 0.3),)), source=fmt(6, -3)),
    "another exponent a channel": chain(("Mul", ((-0.7, 0.3),)), exponent=[-1, -2]),
    "behind a norm": chain(*norm(((-0.7, 0.31),)), ("Clip", -1.0, 0.75)),
    "a gain of 0": chain(*norm(((0.0, -0.31),))),
    "the only channel": chain(("Mul", -0.7), channels=1, source=fmt(6, -3)),
    "Neg": chain(("Neg",), ("Add", 0.3)),
    "Div": chain(("Div", ((-3.0, 3.0),))),
    "more codes than a table holds": chain(("Mul", -0.7), source=fmt(17, -3)),
}


@pytest.mark.parametrize("case", FALLING)
def test_rule_2_a_falling_channel_changes_its_sign_first(case):
    graph = folded(FALLING[case], channels=1 if case == "the only channel" else 2)
    assert nodes(graph) == [
        ("Mul", "u", "y_turned_factor", "y_turned"),
        ("MultiThreshold", "y_turned", "y_codes_thresholds", "y_codes"),
        ("Mul", "y_codes", "y_scale", "y"),
    ]
    assert np.abs(graph.constants["y_turned_factor"]).tolist() == np.ones_like(graph.constants["y_turned_factor"]).tolist()


def test_rule_2_what_falls_twice_rises():
    assert op_types(folded(chain(("Mul", ((-0.7, -0.2),)), ("Neg",)))) == ["MultiThreshold", "Mul"]


def test_rule_2_a_constant_minus_the_tensor_falls():
    def draw(g):
        port(g, "u", 2, fmt(6, -3))
        g.quant(g.node("Sub", [g.constant("c", 0.3), "u"], "t", 2), "y", fmt(4, -1), 2)
        g.output("y", 2)

    assert op_types(folded(draw)) == ["Mul", "MultiThreshold", "Mul"]


def hat(low=-0.5, high=2.0, source=None, bits=6, exponent=-2, channels=2):
    """u clipped, times u: falls and rises."""

    def draw(g):
        port(g, "u", channels, source or fmt(6, -3))
        g.node("Clip", ["u", g.constant("low", low), g.constant("high", high)], "gate", channels)
        g.quant(g.node("Mul", ["u", "gate"], "product", channels), "y", fmt(bits, exponent), channels)
        g.output("y", channels)

    return draw


def moved_hat(g):
    """As ``hat``, and channels that start at different codes."""
    port(g, "u", 2, fmt(6, -3))
    g.node("Clip", ["u", g.constant("low", -0.5), g.constant("high", 2.0)], "gate", 2)
    product = g.node("Mul", ["u", "gate"], "product", 2)
    g.quant(g.node("Add", [product, g.constant("offset", ((0.3, -1.2),))], "moved", 2), "y", fmt(6, -2), 2)
    g.output("y", 2)


def sum_with_itself(g):
    """The float functions of one tensor may meet in a sum too, where that is no exact one."""
    port(g, "u", 2, fmt(6, -3))
    g.node("Clip", ["u", g.constant("low", -0.5), g.constant("high", 2.0)], "gate", 2)
    g.quant(g.node("Sub", ["gate", "u"], "rest", 2), "y", fmt(6, -2), 2)
    g.output("y", 2)


TABLES = {
    "a product with itself": hat(),
    "another exponent a channel": hat(exponent=[-1, -2]),
    "another grid a channel": hat(source=fmt(6, [-3, -2])),
    "channels that start at different codes": moved_hat,
    "a difference from itself": sum_with_itself,
}


def test_rule_3_of_channels_with_ranges_of_their_own():
    def draw(g):
        port(g, "u", 2, fmt(6, -3))
        sums = g.node("MatMul", ["u", g.weight("m", weight([[1, 4], [0, -3]]))], "s", 2)
        g.node("Clip", [sums, g.constant("low", -0.5), g.constant("high", 2.0)], "gate", 2)
        g.quant(g.node("Mul", [sums, "gate"], "t", 2), "y", fmt(6, -1), 2)
        g.output("y", 2)

    assert "Sub" in op_types(folded(draw))


def test_rule_3_of_a_single_channel():
    graph = folded(hat(channels=1), channels=1)
    assert op_types(graph) == ["MultiThreshold", "MultiThreshold", "Sub", "Mul"]


@pytest.mark.parametrize("draw", TABLES.values(), ids=TABLES)
def test_rule_3_any_other_chain_is_a_rise_minus_a_fall(draw):
    graph = folded(draw)
    assert nodes(graph) == [
        ("MultiThreshold", "u", "y_rises_thresholds", "y_rises"),
        ("MultiThreshold", "u", "y_falls_thresholds", "y_falls"),
        ("Sub", "y_rises", "y_falls", "y_codes"),
        ("Mul", "y_codes", "y_scale", "y"),
    ]
    assert [is_table(node) for node in graph.nodes] == [False, False, True, False]
    # No type is narrower than what is counted, and the rise starts where the table does.
    first = computed(graph, {"u": np.full((1, 2), -32)})["y"][0] / np.ravel(graph.constants["y_scale"])
    assert attribute(graph.nodes[0], "out_bias") == first.min()
    assert attribute(graph.nodes[1], "out_bias") == 0


def test_rule_3_the_type_of_a_count_holds_all_of_it():
    graph = folded(hat(low=-1.0, high=-1.0, bits=4, exponent=-3))
    # Falls only: from 7 down to -8 in 15 steps, the rise has one level that nothing reaches.
    assert graph.datatypes["y_falls"] == "UINT4" and graph.datatypes["y_rises"] == "UINT4"
    assert graph.datatypes["y_codes"] == "INT4"


def test_rule_3_a_table_is_bounded():
    with pytest.raises(ExportError, match="^y: .* its input has 131072 codes; a table holds at most 65536"):
        folded(hat(source=fmt(17, -3)))
    graph = step(hat(source=fmt(16, -3)))
    clean(graph)
    fold(graph)
    assert "Sub" in op_types(graph)


def test_rule_3_a_table_holds_65536_codes_and_not_one_more():
    def draw(g):
        port(g, "u", 2, fmt(16, -3))
        port(g, "v", 2, fmt(1, -3, signed=False))
        sums = g.node("Add", ["u", "v"], "s", 2)
        gate = g.node("Clip", [sums, g.constant("low", -0.5), g.constant("high", 2.0)], "gate", 2)
        g.quant(g.node("Mul", [sums, gate], "t", 2), "y", fmt(4, -1), 2)
        g.output("y", 2)

    graph = step(draw)
    with pytest.raises(ExportError, match="^y: .* its input has 65537 codes; a table holds at most 65536"):
        fold(graph)


@pytest.mark.parametrize("exponent", [-1, [-3, 0]], ids=["one grid", "a grid a channel"])
def test_rule_4_the_scale_of_a_quantizer_is_a_product_behind_its_thresholds(exponent):
    graph = folded(chain(exponent=exponent))
    assert graph.constants["y_scale"].shape == (1, np.size(exponent))
    assert np.array_equal(graph.constants["y_scale"].ravel(), np.ldexp(1.0, np.ravel(exponent)))
    assert graph.exponents["y"].tolist() == graph.exponents["y_scale"].tolist() == np.ravel(exponent).tolist()
    assert "y_codes" not in graph.exponents


def test_rule_5_in_double_graphs_the_cast_goes_too():
    graph = folded(chain(*norm()), double=True)
    assert nodes(graph) == [
        ("MultiThreshold", "u", "y_codes_thresholds", "y_codes"),
        ("Mul", "y_codes", "y_scale", "y"),
    ]

    def cast_of_a_sum(g):  # this one is no part of a Quant
        port(g, "u", 2, fmt(6, -3))
        g.node("Cast", ["u"], "same", 2, to=11)
        g.output(g.node("Mul", ["same", g.weight("w", weight([[3, 5]]))], "y", 2), 2)
        g.note_format("y", fmt(16, -3))

    assert op_types(folded(cast_of_a_sum, double=True)) == ["Cast", "Mul"]


def test_what_no_quant_ends_is_named():
    def floating(g):
        port(g, "u", 2, fmt(6, -3))
        g.node("Relu", ["u"], "t", 2, domain="")
        g.output("t", 2)

    with pytest.raises(ExportError, match="node Relu_t: a float Relu reaches t with no quantiser between"):
        folded(floating)

    def gain(g):  # a constant with no grid of its own
        port(g, "u", 2, fmt(6, -3))
        g.output(g.node("Mul", ["u", g.constant("c", 0.3)], "t", 2), 2)

    with pytest.raises(ExportError, match="node Mul_t: a float Mul reaches t"):
        folded(gain)

    def two_floats(g):  # a function of two tensors has no thresholds
        port(g, "u", 2, fmt(6, -3))
        port(g, "v", 2, fmt(6, -3))
        g.node("Relu", ["u"], "t", 2)
        g.quant(g.node("Add", ["t", "v"], "s", 2), "y", fmt(4, -1), 2)
        g.output("y", 2)

    graph = step(two_floats)
    with pytest.raises(ExportError, match="node Relu_t: a float Relu reaches t"):
        fold(graph)
