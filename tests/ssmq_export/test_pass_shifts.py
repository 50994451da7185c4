"""Pass 4: a shift goes into the constant that feeds it, where nobody else needs the unshifted sum. Rule by rule."""

from __future__ import annotations

import numpy as np
import pytest
from hand_graphs import computed, dataflow, every_code, nodes
from ssmq_export.lowering.shifts import shifts

CHANNELS = 2
WIDE = "INT24"


def shifted(draw, *outputs):
    """The graph after the pass; what is still there stands for the same values."""

    def complete(g):
        draw(g)
        for name in outputs:
            g.output(name, CHANNELS)

    names = {*"uvwqrstyz", *outputs}
    graph = dataflow(complete, **dict.fromkeys(names, WIDE))
    graph.datatypes = {name: kind for name, kind in graph.datatypes.items() if name in graph.infos}
    feeds = {name: np.roll(every_code(CHANNELS, -8, 7), 5 * k, 0) for k, name in enumerate(graph.inputs)}
    before = computed(graph, feeds)
    # What align has noted: a shifted tensor lies on a finer grid, so that both stand for one value.
    shifts(graph)
    after = computed(graph, feeds)
    for name in outputs:
        assert np.array_equal(before[name], after[name]), name
    once = graph.model()
    shifts(graph)
    assert graph.model() == once
    return graph


def matmul(g, source="u", output="s", weight=((3, -1), (0, 5))):
    return g.node("MatMul", [source, g.constant(f"{output}_weight", weight)], output, CHANNELS)


def shift(g, source="s", output="t", factor=((4,),)):
    return g.node("Mul", [source, g.constant(f"{output}_factor", factor)], output, CHANNELS)


def add(g, left="t", right="v", output="y", op="Add"):
    return g.node(op, [left, right], output, CHANNELS)


def ports(g, *names):
    for name in names:
        g.input(name, CHANNELS)


@pytest.mark.parametrize("factor", [((4,),), ((4, 1),)], ids=["one", "one a channel"])
def test_rule_1_behind_a_matmul_into_its_weights(factor):
    def draw(g):
        ports(g, "u", "v")
        matmul(g), shift(g, factor=factor), add(g)

    graph = shifted(draw, "y")
    assert nodes(graph) == [("MatMul", "u", "s_weight", "s"), ("Add", "s", "v", "y")]
    assert graph.constants["s_weight"].tolist() == (np.array([[3, -1], [0, 5]]) * factor).tolist()
    assert np.array_equal(np.broadcast_to(graph.exponents["s"], CHANNELS), -np.broadcast_to(np.log2(factor[0]), CHANNELS))
    assert "t_factor" not in graph.constants and "t" not in graph.infos


@pytest.mark.parametrize("factor", [((4,),), ((4, 1),)], ids=["one", "one a channel"])
@pytest.mark.parametrize("weight", [((3,),), ((3, -5),)], ids=["one weight", "a weight a channel"])
def test_rule_2_behind_a_product_with_a_constant_into_that(weight, factor):
    def draw(g):
        ports(g, "u", "v")
        shift(g, "u", "s", weight), shift(g, factor=factor), add(g)

    graph = shifted(draw, "y")
    assert nodes(graph) == [("Mul", "u", "s_factor", "s"), ("Add", "s", "v", "y")]
    assert graph.constants["s_factor"].tolist() == (np.array(weight) * factor).tolist()


@pytest.mark.parametrize("op", ["Add", "Sub"])
@pytest.mark.parametrize("factor", [((4,),), ((4, 1),)], ids=["one", "one a channel"])
def test_rule_3_behind_a_sum_onto_both_operands(op, factor):
    def draw(g):
        ports(g, "u", "v", "w")
        matmul(g, "u", "r"), shift(g, "v", "q", ((3, 5),)), add(g, "r", "q", "s", op)
        shift(g, factor=factor), add(g, "t", "w")

    graph = shifted(draw, "y")
    assert nodes(graph) == [
        ("MatMul", "u", "r_weight", "r"),
        ("Mul", "v", "q_factor", "q"),
        (op, "r", "q", "s"),
        ("Add", "s", "w", "y"),
    ]
    assert graph.constants["r_weight"].tolist() == (np.array([[3, -1], [0, 5]]) * factor).tolist()
    assert graph.constants["q_factor"].tolist() == (np.array([[3, 5]]) * factor).tolist()


@pytest.mark.parametrize("op", ["Add", "Sub"])
def test_rule_3_a_port_s_shift_stays_in_front_of_the_sum_and_a_term_takes_it(op):
    def draw(g):
        ports(g, "u", "v")
        g.node(op, ["u", g.constant("term", ((3, 5),))], "s", CHANNELS)
        shift(g, factor=((4, 2),)), add(g)

    graph = shifted(draw, "y")
    assert nodes(graph) == [("Mul", "u", "u_shift", "u_aligned"), (op, "u_aligned", "term", "s"), ("Add", "s", "v", "y")]
    assert graph.constants["term"].tolist() == [[12, 10]] and graph.constants["u_shift"].tolist() == [[4, 2]]
    assert graph.exponents["u_aligned"].tolist() == [-2, -1]


def test_rule_3_a_shift_of_that_operand_which_is_there_serves_again():
    def draw(g):
        ports(g, "u", "v", "w")
        shift(g, "u", "q"), add(g, "q", "w", "z")
        add(g, "u", "v", "s"), shift(g), add(g, "t", "w")

    graph = shifted(draw, "y", "z")
    assert nodes(graph) == [
        ("Mul", "u", "q_factor", "q"),
        ("Add", "q", "w", "z"),
        ("Mul", "v", "v_shift", "v_aligned"),
        ("Add", "q", "v_aligned", "s"),
        ("Add", "s", "w", "y"),
    ]

    def other(g):  # a shift by another number does not
        ports(g, "u", "v", "w")
        shift(g, "u", "q", ((2,),)), add(g, "q", "w", "z")
        add(g, "u", "v", "s"), shift(g), add(g, "t", "w")

    assert ("Mul", "u", "u_shift", "u_aligned") in nodes(shifted(other, "y", "z"))


@pytest.mark.parametrize("op", ["Add", "Sub"])
@pytest.mark.parametrize("factor", [((-1,),), ((-4, 1),)], ids=["one", "one a channel"])
def test_rule_4_constants_take_a_change_of_sign(op, factor):
    def draw(g):
        ports(g, "u", "v", "w")
        matmul(g, "u", "r"), shift(g, "v", "q", ((3, 5),)), add(g, "r", "q", "s", op)
        shift(g, factor=factor), add(g, "t", "w")

    graph = shifted(draw, "y")
    # ``s``, ``r`` and ``q`` are gone: under these names nobody must find anything else.
    assert nodes(graph) == [
        ("MatMul", "u", "r_weight", "r_aligned"),
        ("Mul", "v", "q_factor", "q_aligned"),
        (op, "r_aligned", "q_aligned", "t"),
        ("Add", "t", "w", "y"),
    ]
    assert graph.constants["r_weight"].tolist() == (np.array([[3, -1], [0, 5]]) * factor).tolist()
    assert not graph.infos.keys() & {"s", "r", "q"} and not graph.exponents.keys() & {"s", "r", "q"}


def forked(g):
    """The unshifted sum has another reader."""
    ports(g, "u", "v")
    matmul(g), shift(g), add(g), add(g, "s", "v", "z")


def port_itself(g):
    ports(g, "u", "v")
    shift(g, "u"), add(g)


def counted(g):
    ports(g, "u", "v")
    levels = g.constant("levels", ((1, 2, 5),))
    attributes = {"out_dtype": "UINT2", "out_scale": 1.0, "out_bias": 0.0, "data_layout": "NC"}
    g.node("MultiThreshold", ["u", levels], "s", CHANNELS, "qonnx.custom_op.general", **attributes)
    shift(g), add(g)


def product_of_two(g):
    ports(g, "u", "v")
    g.node("Mul", ["u", "v"], "s", CHANNELS)
    shift(g), add(g)


def times(factor):
    def draw(g):
        ports(g, "u", "v")
        matmul(g), shift(g, factor=factor), add(g)

    return draw


def term(g):
    """A sum with 4 is none, though 4 is a power of two."""
    ports(g, "u", "v")
    matmul(g), g.node("Add", ["s", g.constant("four", ((4, 4),))], "t", CHANNELS), add(g)


def matrix(g):
    ports(g, "u", "v")
    matmul(g), matmul(g, "s", "t", ((4, 2), (1, 8))), add(g)


def sign_of_a_port(g):
    ports(g, "u", "v")
    shift(g, "u", factor=((-1, 1),)), add(g)


def sign_of_a_sum_with_a_port(g):
    ports(g, "u", "v")
    matmul(g, "u", "r"), add(g, "r", "v", "s"), shift(g, factor=((-1, 1),)), add(g)


def sign_of_a_forked_part(g):
    ports(g, "u", "v")
    matmul(g, "u", "r"), matmul(g, "v", "q"), add(g, "r", "q", "s"), add(g, "q", "v", "z")
    shift(g, factor=((-1, 1),)), add(g)


STAY = {
    "a term that is a power of two": (term, ("y",)),
    "weights that are powers of two": (matrix, ("y",)),
    "of a sum with another reader": (forked, ("y", "z")),
    "of a graph output": (times(((4,),)), ("y", "s")),
    "of a port": (port_itself, ("y",)),
    "of what thresholds count": (counted, ("y",)),
    "of a product of two tensors": (product_of_two, ("y",)),
    "a factor that is no power of two": (times(((3, 3),)), ("y",)),
    "one of several is no power of two": (times(((4, 3),)), ("y",)),
    "a factor below 1": (times(((0.5, 4),)), ("y",)),
    "a sign of a port": (sign_of_a_port, ("y",)),
    "a sign that a term alone would take": (sign_of_a_sum_with_a_port, ("y",)),
    "a sign of a sum of which a part has another reader": (sign_of_a_forked_part, ("y", "z")),
}


@pytest.mark.parametrize("draw, outputs", STAY.values(), ids=STAY)
def test_a_shift_that_stays(draw, outputs):
    def complete(g):
        draw(g)
        for name in outputs:
            g.output(name, CHANNELS)

    untouched = nodes(dataflow(complete, u=WIDE, v=WIDE))
    assert nodes(shifted(draw, *outputs)) == untouched


def test_a_shift_by_nothing_goes_too():
    assert len(nodes(shifted(times(((1, 1),)), "y"))) == 2


def test_rule_3_only_a_shift_that_stands_before_serves():
    """The graph after every pass can be executed in its order."""

    def later(g):
        ports(g, "u", "v", "w")
        add(g, "u", "v", "s"), shift(g), add(g, "t", "w")
        shift(g, "u", "q"), add(g, "q", "w", "z")

    shifted(later, "y", "z")


def test_rule_3_a_new_shift_takes_no_name_that_is_there():
    """One further down, by another number, would be computed under the same name."""

    def draw(g):
        ports(g, "u", "v", "w")
        add(g, "u", "v", "s"), shift(g), add(g, "t", "w")
        g.node("Mul", ["u", g.constant("u_shift", ((2,),))], "u_aligned", CHANNELS)
        add(g, "u_aligned", "w", "z")

    assert nodes(shifted(draw, "y", "z"))[0] == ("Mul", "u", "u_shift_2", "u_aligned_2")


def test_rule_3_shifts_of_one_number_and_of_one_a_channel_are_told_apart():
    def draw(g):
        ports(g, "u", "v", "w")
        shift(g, "u", "q", ((4, 2),)), add(g, "q", "w", "z")
        add(g, "u", "v", "s"), shift(g), add(g, "t", "w")

    assert ("Mul", "u", "u_shift", "u_aligned") in nodes(shifted(draw, "y", "z"))

    def same(g):  # the same numbers
        ports(g, "u", "v", "w")
        shift(g, "u", "q", ((4, 4),)), add(g, "q", "w", "z")
        add(g, "u", "v", "s"), shift(g), add(g, "t", "w")

    assert ("Add", "q", "v_aligned", "s") in nodes(shifted(same, "y", "z"))


def test_a_shift_that_is_a_graph_output_stays():
    def draw(g):
        ports(g, "u", "v")
        matmul(g), shift(g), add(g)

    graph = shifted(draw, "y", "t")
    assert nodes(graph)[1] == ("Mul", "s", "t_factor", "t")
