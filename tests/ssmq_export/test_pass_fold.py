"""Pass 2: everything between a sum on a grid and its Quant becomes thresholds, or a table. Rule by rule."""

from __future__ import annotations

import numpy as np
import pytest
from hand_graphs import attribute, computed, every_code, fmt, nodes, op_types, port, step, weight
from ssmq_export.errors import ExportError
from ssmq_export.lower.clean import clean
from ssmq_export.lower.fold import fold
from ssmq_export.lower.ranges import is_table


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
    assert [attribute(counted, name) for name in ("out_bias", "out_scale", "out_dtype", "data_layout")] == [-2, 1, b"INT2", b"NC"]
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


TABLES = {
    "channels that start at different codes": chain(("Mul", ((-0.7, -0.1),)), source=fmt(6, -3)),
    "one channel falls": chain(("Mul", ((-0.7, 0.3),)), source=fmt(6, -3)),
    "another exponent a channel": chain(("Mul", ((-0.7, 0.3),)), exponent=[-1, -2]),
    "a falling line": chain(("Mul", -0.7), exponent=-1, source=fmt(6, -3)),
    "a hat": chain(("Mul", -1.0), ("Clip", -2.0, 1.0), source=fmt(6, -2)),
}


def hat(g):
    """u clipped, times u: falls and rises."""
    port(g, "u", 2, fmt(6, -3))
    g.node("Clip", ["u", g.constant("low", -0.5), g.constant("high", 2.0)], "gate", 2)
    g.quant(g.node("Mul", ["u", "gate"], "product", 2), "y", fmt(6, -2), 2)
    g.output("y", 2)


def test_rule_2_of_channels_with_ranges_of_their_own():
    def draw(g):
        port(g, "u", 2, fmt(6, -3))
        sums = g.node("MatMul", ["u", g.weight("m", weight([[1, 4], [0, -3]]))], "s", 2)
        g.quant(g.node("Mul", [sums, g.constant("c", -0.3)], "t", 2), "y", fmt(6, -1), 2)
        g.output("y", 2)

    assert "Sub" in op_types(folded(draw))


def test_rule_2_of_a_single_channel():
    graph = folded(chain(("Mul", -0.7), channels=1, source=fmt(6, -3)), channels=1)
    assert op_types(graph) == ["MultiThreshold", "MultiThreshold", "Sub", "Mul"]


@pytest.mark.parametrize("draw", [*TABLES.values(), hat], ids=[*TABLES, "a product with itself"])
def test_rule_2_any_other_chain_is_a_rise_minus_a_fall(draw):
    graph = folded(draw)
    assert nodes(graph) == [
        ("MultiThreshold", "u", "y_rises_thresholds", "y_rises"),
        ("MultiThreshold", "u", "y_falls_thresholds", "y_falls"),
        ("Sub", "y_rises", "y_falls", "y_codes"),
        ("Mul", "y_codes", "y_scale", "y"),
    ]
    assert [is_table(node) for node in graph.nodes] == [False, False, True, False]
    # No type is narrower than what is counted, and the rise starts where the table does.
    rises, falls = (graph.constants[f"y_{kind}_thresholds"] for kind in ("rises", "falls"))
    counts = [(rises[0] <= code).sum() - (falls[0] <= code).sum() for code in (-100, 100)]
    first = computed(graph, {"u": np.full((1, 2), -32)})["y"][0] / np.ravel(graph.constants["y_scale"])
    assert counts[0] == 0 and attribute(graph.nodes[0], "out_bias") == first.min()
    assert attribute(graph.nodes[1], "out_bias") == 0


def test_rule_2_the_type_of_a_count_holds_all_of_it():
    graph = folded(chain(("Mul", -1.0), bits=4, exponent=-3, source=fmt(6, -3)))
    # Falls only: from 7 down to -8 in 15 steps, the rise has one level that nothing reaches.
    assert graph.datatypes["y_falls"] == "UINT4" and graph.datatypes["y_rises"] == "UINT4"
    assert graph.datatypes["y_codes"] == "INT4"


def test_rule_2_a_table_is_bounded():
    wide = chain(("Mul", -0.7), source=fmt(17, -3))
    with pytest.raises(ExportError, match="^y: .* its input has 131072 codes; a table holds at most 65536"):
        folded(wide)
    graph = step(chain(("Mul", -0.7), source=fmt(16, -3)))
    clean(graph)
    fold(graph)
    assert "Sub" in op_types(graph)


def test_rule_2_a_table_holds_65536_codes_and_not_one_more():
    def draw(g):
        port(g, "u", 2, fmt(16, -3))
        port(g, "v", 2, fmt(1, -3, signed=False))
        sums = g.node("Add", ["u", "v"], "s", 2)
        g.quant(g.node("Mul", [sums, g.constant("c", -0.7)], "t", 2), "y", fmt(4, -1), 2)
        g.output("y", 2)

    graph = step(draw)
    with pytest.raises(ExportError, match="^y: .* its input has 65537 codes; a table holds at most 65536"):
        fold(graph)


@pytest.mark.parametrize("exponent", [-1, [-3, 0]], ids=["one grid", "a grid a channel"])
def test_rule_3_the_scale_of_a_quantizer_is_a_product_behind_its_thresholds(exponent):
    graph = folded(chain(exponent=exponent))
    assert graph.constants["y_scale"].shape == (1, np.size(exponent))
    assert np.array_equal(graph.constants["y_scale"].ravel(), np.ldexp(1.0, np.ravel(exponent)))
    assert graph.exponents["y"].tolist() == graph.exponents["y_scale"].tolist() == np.ravel(exponent).tolist()
    assert "y_codes" not in graph.exponents


def test_rule_4_in_double_graphs_the_cast_goes_too():
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


def test_the_float_functions_of_one_tensor_join_in_a_product_only():
    """A sum of two functions of u is no chain: FINN knows no such thresholds, and none are made up."""

    def draw(g):
        port(g, "u", 2, fmt(6, -3))
        g.node("Relu", ["u"], "t", 2)
        g.quant(g.node("Add", ["t", "u"], "s", 2), "y", fmt(4, -1), 2)
        g.output("y", 2)

    with pytest.raises(ExportError, match="node Relu_t: a float Relu"):
        fold(step(draw))
