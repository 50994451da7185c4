"""From graph to stages: what is stored, in which ranges, and for how many steps that holds."""

from __future__ import annotations

import numpy as np
import pytest
from hand_graphs import dataflow
from ssmq_export.dataflow.graph import DataflowGraph
from ssmq_export.dataflow.stages import Stages
from ssmq_export.errors import ExportError
from ssmq_export.integer import IntegerModel
from ssmq_export.integer.program import Program
from ssmq_export.lowering.graph import Graph

COUNTED = {"out_dtype": "INT4", "out_scale": 1.0, "out_bias": -2.0}
RUNNING = {"u": "UINT8", "pool": "INT12", "pool_next": "INT13"}


def model(draw, **datatypes):
    """Tensors without a type of their own are wide enough."""
    graph: Graph = dataflow(draw, **{"u": "UINT8", **datatypes})
    graph.datatypes.update({name: "INT50" for name in {*graph.infos, *graph.constants} - graph.datatypes.keys()})
    graph.exponents["logits"] = np.array(0)
    return graph.model()


def integer_graph(draw, **datatypes) -> DataflowGraph:
    return DataflowGraph(model(draw, **datatypes))


def matmul(g, source, name, weight):
    return g.node("MatMul", [source, g.constant(f"{name}_weight", weight)], name, np.shape(weight)[1])


def counted(g, source, name, rows=((10, 20, 900),), channels=2):
    return g.node(
        "MultiThreshold", [source, g.constant(f"{name}_rows", rows)], name, channels, "qonnx.custom_op.general", **COUNTED
    )


def chain(g):
    """u -> two sums in a row -> thresholds -> logits."""
    g.input("u", 1)
    s = matmul(g, "u", "s", [[3, -2]])
    t = g.node("Add", [g.node("Mul", [s, g.constant("k", ((2, 5),))], "m", 2), g.constant("b", ((-7, 100),))], "t", 2)
    counted(g, t, "y")
    g.output(matmul(g, "y", "logits", [[1], [4]]), 1)


def bounds(stage) -> list[list[int]]:
    return [stage.low.tolist(), stage.high.tolist()]


def test_a_chain_of_sums_is_one_stage():
    stages = Stages(integer_graph(chain))
    assert [stage.output for stage in stages.order] == ["y", "logits"]
    y, logits = stages.order
    # t = (6 u - 7, 100 - 10 u) of u from 0 to 255.
    assert bounds(y) == [[-7, -2450], [1523, 100]] and len(y.rows) == 2 and logits.rows == ()
    assert y.form.weight.tolist() == [6, -10] and y.form.constant.tolist() == [-7, 100]
    # The second channel never reaches 900.
    assert (stages.slots["y"].low.tolist(), stages.slots["y"].high.tolist()) == ([-2, -2], [1, 0])
    assert bounds(logits) == [[-10], [1]]


def test_unfused_every_node_is_a_stage():
    stages = Stages(integer_graph(chain), fused=False)
    assert [stage.output for stage in stages.order] == ["s", "m", "t", "y", "logits"]
    assert bounds(stages.order[0]) == [[0, -510], [765, 0]]


def test_a_traced_sum_is_stored_and_what_reads_it_stays_fused():
    stages = Stages(integer_graph(chain), ("s",))
    assert [stage.output for stage in stages.order] == ["s", "y", "logits"]
    assert stages.order[1].form.row.tolist() == [0, 0], "of u, not of s"


def test_what_no_output_needs_is_left_out():
    graph = integer_graph(chain)
    graph.outputs = ["s"]
    assert [stage.output for stage in Stages(graph).order] == ["s"]
    assert [stage.output for stage in Stages(graph, ("y",)).order] == ["s", "y"]


def shared(terms, readers=2):
    def draw(g):
        g.input("u", terms)
        s = matmul(g, "u", "s", np.ones((terms, 1)))
        ends = [g.node("Mul", [s, g.constant(f"k{n}", ((n + 2,),))], f"e{n}", 1) for n in range(readers)]
        last = ends[0] if readers == 1 else g.node("Sub", ends, "d", 1)
        g.output(g.node("Add", [last, g.constant("b", ((1,),))], "logits", 1), 1)

    return draw


def test_a_long_sum_with_several_readers_is_stored_and_a_short_one_repeated():
    assert [stage.output for stage in Stages(integer_graph(shared(5))).order] == ["s", "logits"]
    assert [stage.output for stage in Stages(integer_graph(shared(4))).order] == ["logits"]
    assert [stage.output for stage in Stages(integer_graph(shared(5, readers=1))).order] == ["logits"]


def test_a_matmul_reads_stored_sums_of_several_terms():
    def draw(terms):
        def inner(g):
            g.input("u", terms)
            s = matmul(g, "u", "s", np.ones((terms, 2)))
            g.output(matmul(g, s, "logits", [[1], [2]]), 1)

        return inner

    assert [stage.output for stage in Stages(integer_graph(draw(2))).order] == ["s", "logits"]
    assert [stage.output for stage in Stages(integer_graph(draw(1))).order] == ["logits"]


@pytest.mark.parametrize("op", ["Add", "Sub", "Mul"])
@pytest.mark.parametrize("first", [True, False], ids=["constant behind", "constant in front"])
def test_elementwise_with_a_constant_on_either_side(op, first):
    def draw(g):
        g.input("u", 2)
        operands = ["u", g.constant("c", ((3, -5),))]
        g.output(g.node(op, operands if first else operands[::-1], "logits", 2), 2)

    codes = np.arange(8, dtype=np.uint8).reshape(4, 1, 2)
    function = {"Add": np.add, "Sub": np.subtract, "Mul": np.multiply}[op]
    values, constant = codes[:, 0].astype(np.int64), np.array([3, -5])
    expected = function(values, constant) if first else function(constant, values)
    for fused in (True, False):
        assert np.array_equal(IntegerModel(model(draw), fused).forward(codes), expected)


def product(left="INT4", right="INT4", channels=(1, 1), more=1):
    def draw(g):
        g.input("u", 1)
        names = [counted(g, matmul(g, "u", f"s{n}", [[1] * c]), f"f{n}", ((1, 2, 3, 4, 5),), c) for n, c in enumerate(channels)]
        names = [
            g.node("Mul", [n, g.constant(f"big{n}", ((more,),))], f"{n}_big", c) for n, c in zip(names, channels, strict=True)
        ]
        g.output(g.node("Mul", names, "logits", max(channels)), max(channels))

    return draw


def test_a_product_of_two_tensors_has_the_range_of_its_corners():
    stages = Stages(integer_graph(product()))
    (last,) = [stage for stage in stages.order if stage.output == "logits"]
    assert bounds(last) == [[-6], [9]] and last.factors == ("f0_big", "f1_big") and last.form is None
    assert bounds(Stages(integer_graph(product(more=-1))).order[-1]) == [[-6], [9]]


def test_products_that_do_not_fit_are_named():
    with pytest.raises(ExportError, match="^logits: its factors must have equal channels, not 1 and 2"):
        Stages(integer_graph(product(channels=(1, 2))))
    Stages(integer_graph(product(more=2**28)))
    with pytest.raises(ExportError, match="^logits: its codes need more than 62 bits"):
        Stages(integer_graph(product(more=2**30)))


def running(weight=3, feedback=1, source="u", op="Add"):
    def draw(g):
        g.input("u", 1)
        g.input("pool", 1)
        driven = matmul(g, source, "driven", [[weight]])
        kept = "pool" if feedback == 1 else matmul(g, "pool", "kept", [[feedback]])
        g.output(g.node(op, [kept, driven], "pool_next", 1), 1)
        g.output(g.node("Mul", ["pool_next", g.constant("two", ((2,),))], "logits", 1), 1)

    return draw


@pytest.mark.parametrize(
    ("weight", "steps"),
    [(3, 2047 // 765), (-3, 2048 // 765), (1, 2047 // 255), (-1, 2048 // 255), (8, 1), (0, 2**62)],
)  # fmt: skip
def test_a_running_sum_is_safe_until_it_may_leave_its_type(weight, steps):
    assert Stages(integer_graph(running(weight), **RUNNING)).steps == steps


def test_growth_widens_a_running_sum_only():
    graph = integer_graph(running(), **RUNNING)
    assert Stages(graph, growth=4).steps == 4 * 2047 // 765
    assert Stages(graph, growth=4).slots["pool"].high.tolist() == [4 * 2047]
    assert Stages(graph, growth=4).slots["u"].high.tolist() == [255]


def test_a_running_sum_is_wide_whatever_its_type():
    stages = Stages(integer_graph(running(), **RUNNING))
    assert stages.slots["pool"].wide and stages.slots["pool_next"].wide and not stages.slots["u"].wide


def test_states_that_nothing_bounds_are_named():
    with pytest.raises(ExportError, match="pool_next: one step may leave the annotated range of pool"):
        Stages(integer_graph(running(9), **RUNNING))
    for changes in ({"feedback": 2}, {"feedback": -1}, {"source": "pool"}):
        with pytest.raises(ExportError, match="pool_next: neither thresholds nor a running sum bound this state"):
            Stages(integer_graph(running(**changes), **RUNNING))


@pytest.mark.parametrize(("op", "weight"), [("Sub", 3), ("Add", -3)])
def test_a_falling_sum_keeps_every_code(op, weight):
    integers = IntegerModel(model(running(weight, op=op), **RUNNING))
    codes = np.full((1, 30), 255, np.uint8)
    assert integers.forward(codes).tolist() == [[-2 * 3 * 255 * 30]]


def thresholded_state(state="INT3", rows=((-4, 0, 9),)):
    def draw(g):
        g.input("u", 1)
        g.input("x_re_0", 1)
        counted(g, g.node("Sub", [matmul(g, "x_re_0", "kept", [[5]]), "u"], "sum", 1), "x_re_next_0", rows, 1)
        g.output("x_re_next_0", 1)
        g.output(g.node("Mul", ["x_re_next_0", g.constant("k", ((3,),))], "logits", 1), 1)

    return integer_graph(draw, x_re_0=state)


def test_a_thresholded_state_stays_in_its_range_for_ever():
    stages = Stages(thresholded_state())
    assert stages.steps == 2**62 and not stages.is_running_sum("x_re_0") and not stages.is_running_sum("u")
    assert (stages.slots["x_re_next_0"].low.tolist(), stages.slots["x_re_next_0"].high.tolist()) == ([-2], [1])
    Stages(thresholded_state("INT2"))
    with pytest.raises(ExportError, match="x_re_next_0: its codes leave the annotated range of x_re_0"):
        Stages(thresholded_state("UINT4"))
    with pytest.raises(ExportError, match="x_re_next_0: its codes leave the annotated range of x_re_0"):
        Stages(thresholded_state("INT2", ((-4, 0, 1, 2),)))


@pytest.mark.parametrize(
    ("rows", "fits"),
    [(((1, 2, 3),), True), (((1, 2, 2), (3, 4, 5)), True), (((1, 3, 2),), False), (((1, 2), (2, 3), (3, 4)), False)],
)  # fmt: skip
def test_thresholds_are_one_ascending_row_or_one_a_channel(rows, fits):
    def draw(g):
        g.input("u", 2)
        counted(g, "u", "y", rows)
        g.output(g.node("Add", ["y", "y"], "logits", 2), 2)

    if fits:
        Stages(integer_graph(draw))
    else:
        with pytest.raises(ExportError, match="y: its thresholds must (ascend|be 1 or 2 rows), not"):
            Stages(integer_graph(draw))


@pytest.mark.parametrize(("weight", "wide"), [(128, False), (129, True), (-128, False), (-129, True)])
def test_a_tensor_is_wide_if_int16_does_not_hold_it(weight, wide):
    """255 * 128 is 32640, and a level more is past 32767; so on the other side."""

    def draw(g):
        g.input("u", 1)
        g.output(matmul(g, "u", "logits", [[weight]]), 1)

    assert Stages(integer_graph(draw)).slots["logits"].wide == wide


@pytest.mark.parametrize(
    ("weight", "dtype"),
    [(2**31 // 255, np.int32), (2**31 // 255 + 1, np.int64), (-(2**31 // 255), np.int32), (-(2**31 // 255) - 1, np.int64)],
)  # fmt: skip
def test_accumulators_are_as_wide_as_the_widest_sum(weight, dtype):
    def draw(g):
        g.input("u", 1)
        s = g.node("Mul", ["u", g.constant("one", ((257,),))], "s", 1)
        g.output(
            g.node("Sub", [matmul(g, s, "t", [[weight // 257]]), matmul(g, "u", "r", [[weight % 257 * -1]])], "logits", 1), 1
        )

    # float32 constants hold 24 bits, so the weight is made of two.
    program = Program(integer_graph(draw), ())
    (stage,) = program.stages.order
    assert max(abs(stage.low[0]), abs(stage.high[0])) == abs(weight) * 255
    assert program.dtype == dtype
