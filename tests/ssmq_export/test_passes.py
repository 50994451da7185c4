"""Passes 5 and 6 rule by rule, and all six on graphs of any make."""

from __future__ import annotations

import json

import numpy as np
import pytest
from conftest import small_config, small_model
from hand_graphs import attribute, computed, dataflow, every_code, fmt, nodes, op_types, port, step, weight
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from ssmq_export.dataflow.datatype import integer_range
from ssmq_export.errors import ExportError
from ssmq_export.from_network import step_graph
from ssmq_export.graphs.builder import GraphBuilder
from ssmq_export.lowering import PASSES, contract, lower
from ssmq_export.lowering.datatypes import datatypes
from ssmq_export.lowering.formats import exact_formats
from ssmq_export.lowering.graph import Graph, shared_row
from ssmq_export.lowering.layout import layout
from ssmq_export.lowering.ranges import grids_of
from ssmq_export.verification.proof import prove
from test_graphs import CASES

COUNTED = {"out_dtype": "UINT2", "out_scale": 1.0, "out_bias": 0.0, "data_layout": "NHWC", "note": 5}


def threshold(g: GraphBuilder, source: str, output: str, levels=((1.0, 2.0, 5.0),)) -> str:
    rows = g.constant(f"{output}_rows", levels)
    return g.node("MultiThreshold", [source, rows], output, 2, "qonnx.custom_op.general", **COUNTED)


def mixed(g: GraphBuilder) -> None:
    g.input("u", 2)
    g.node("MatMul", ["u", g.constant("m", ((1, -2), (3, 0)))], "s", 2)
    g.node("Mul", ["s", g.constant("k", ((-3, 4),))], "p", 2)
    g.node("Add", ["p", g.constant("b", ((0, 7),))], "q", 2)
    threshold(g, "q", "y")
    g.output("y", 2)


def test_datatypes_rule_1_computed_tensors_and_constants_get_the_narrowest_type():
    graph = dataflow(mixed, u="INT4", s="INT32", p="INT32", q="INT32", y="UINT2")
    datatypes(graph)
    # s: -8 - 24 .. 7 + 21 and -14 .. 16; p: -96 .. 96 and -56 .. 64; q: one channel 7 more.
    found = {name: graph.datatypes[name] for name in ("s", "p", "q", "m", "k", "b", "y_rows")}
    assert found == {"s": "INT6", "p": "INT8", "q": "INT8", "m": "INT3", "k": "INT4", "b": "UINT3", "y_rows": "UINT3"}


def test_datatypes_rule_2_ports_and_counts_keep_the_type_of_their_format():
    graph = dataflow(mixed, u="INT9", y="INT5")
    datatypes(graph)
    assert (graph.datatypes["u"], graph.datatypes["y"]) == ("INT9", "INT5")


def test_layout_rule_1_nodes_stand_in_the_order_of_computation_under_their_own_names():
    graph = dataflow(mixed, u="INT4", y="UINT2")
    expected = [node.output[0] for node in graph.nodes]
    graph.nodes.reverse()
    graph.nodes[1].name = "anything"
    layout(graph)
    assert [node.output[0] for node in graph.nodes] == expected
    assert [node.name for node in graph.nodes] == ["MatMul_s", "Mul_p", "Add_q", "MultiThreshold_y"]


def test_layout_rule_1_what_may_stand_where_it_stood_does():
    def draw(g):
        g.input("u", 2)
        g.input("v", 2)
        for name, source in (("c", "v"), ("a", "u"), ("b", "a")):
            g.node("Add", [source, source], name, 2)
            g.output(name, 2)

    graph = dataflow(draw, u="INT4", v="INT4")
    layout(graph)
    assert [node.output[0] for node in graph.nodes] == ["c", "a", "b"]


def test_layout_rule_2_constants_are_named_after_what_they_make():
    graph = dataflow(mixed, u="INT4", y="UINT2", m="INT3", k="INT4", b="UINT3", y_rows="UINT3")
    layout(graph)
    assert nodes(graph) == [
        ("MatMul", "u", "s_weight", "s"),
        ("Mul", "s", "p_factor", "p"),
        ("Add", "p", "q_term", "q"),
        ("MultiThreshold", "q", "y_thresholds", "y"),
    ]
    assert set(graph.constants) == {"s_weight", "p_factor", "q_term", "y_thresholds"}
    assert graph.constants["p_factor"].tolist() == [[-3, 4]]
    assert (graph.datatypes["p_factor"], graph.datatypes["y_thresholds"]) == ("INT4", "UINT3")


def test_layout_rule_2_a_shift_keeps_its_name_and_a_shared_constant_is_one_a_reader():
    def draw(g):
        g.input("u", 2)
        g.node("Mul", ["u", g.constant("u_shift", ((4,),))], "u_aligned", 2)
        shared = g.constant("w", ((3, 5),))
        g.node("Mul", ["u_aligned", shared], "a", 2)
        g.node("Sub", [shared, "a"], "b", 2)
        g.output("b", 2)

    graph = dataflow(draw, u="INT4")
    layout(graph)
    assert nodes(graph) == [
        ("Mul", "u", "u_shift", "u_aligned"),
        ("Mul", "u_aligned", "a_factor", "a"),
        ("Sub", "b_term", "a", "b"),
    ]
    assert graph.constants["a_factor"].tolist() == graph.constants["b_term"].tolist() == [[3, 5]]


def test_layout_rule_3_channels_are_last_and_other_attributes_stay():
    graph = dataflow(mixed, u="INT4", y="UINT2")
    layout(graph)
    (counted,) = [node for node in graph.nodes if node.op_type == "MultiThreshold"]
    assert attribute(counted, "data_layout") == b"NC"
    assert [attribute(counted, name) for name in ("note", "out_dtype", "out_bias")] == [5, b"UINT2", 0]
    assert len(counted.attribute) == len(COUNTED)


@pytest.mark.parametrize(
    ("op", "u", "v", "expected"),
    [
        ("Add", "INT4", "UINT4", [("Add", "v", "u", "y")]),
        ("Add", "UINT4", "INT4", [("Add", "u", "v", "y")]),
        ("Add", "UINT4", "UINT4", [("Add", "u", "v", "y")]),
        ("Sub", "INT4", "UINT4", [("Mul", "v", "y_turned_factor", "y_turned"), ("Add", "u", "y_turned", "y")]),
        ("Sub", "UINT4", "INT4", [("Sub", "u", "v", "y")]),
        # FINN knows the widths of ports: only of equal ones the result is one bit short.
        ("Sub", "INT4", "UINT5", [("Sub", "u", "v", "y")]),
    ],
)
def test_layout_rule_4_of_a_signed_and_an_unsigned_tensor_the_unsigned_one_is_first(op, u, v, expected):
    def draw(g):
        g.output(g.node(op, [g.input("u", 2), g.input("v", 2)], "y", 2), 2)

    graph = dataflow(draw, u=u, v=v, y="INT6")
    graph.exponents |= {name: np.array([-3, 1]) for name in "uvy"}
    feeds = {"u": every_code(2, -8, 7), "v": every_code(2, 0, 15)}
    before = computed(graph, feeds)
    layout(graph)
    after = computed(graph, feeds)
    assert nodes(graph) == expected and all(np.array_equal(values, after[name]) for name, values in before.items())
    # What is put in is a tensor like the others: a value, in the exponents of what it turns, and a type.
    if len(expected) > 1:
        assert np.array_equal(after["y_turned"], -before["v"])
        assert (graph.datatypes["y_turned"], graph.datatypes["y_turned_factor"]) == ("INT5", "INT2")


def test_layout_rule_4_a_difference_of_computed_tensors_becomes_a_sum():
    """FINN finds the widths of what is computed by itself, so that equal ones may meet whatever the types say."""

    def draw(g):
        computed = g.node("Mul", [g.input("u", 2), g.constant("k", ((3, 3),))], "s", 2)
        g.output(g.node("Sub", [computed, g.input("v", 2)], "y", 2), 2)

    graph = dataflow(draw, u="INT4", s="INT6", v="UINT4", y="INT7")
    layout(graph)
    assert nodes(graph)[1:] == [("Mul", "v", "y_turned_factor", "y_turned"), ("Add", "s", "y_turned", "y")]


def test_a_model_says_what_the_graph_knows():
    graph = dataflow(mixed, u="INT4", y="UINT2", k="INT4")
    graph.nodes.append(graph.node("Add", ["s", "b"], "unused", 2))
    graph.exponents["y"] = np.array([-3, 1])
    model = graph.model()
    # A constant's type stands in the annotations alone.
    graph.datatypes["m"] = "INT3"
    assert Graph(graph.model()).datatypes["m"] == "INT3"
    assert [node.output[0] for node in model.graph.node] == ["s", "p", "q", "y"]
    assert {t.name for t in model.graph.initializer} == {"m", "k", "b", "y_rows"}
    assert [info.name for info in model.graph.value_info] == ["s", "p", "q"]
    assert ([p.name for p in model.graph.input], [p.name for p in model.graph.output]) == (["u"], ["y"])
    notes = {n.tensor_name: (n.quant_parameter_tensor_names[0].key, n.quant_parameter_tensor_names[0].value)
             for n in model.graph.quantization_annotation}  # fmt: skip
    assert notes == {name: ("finn_datatype", kind) for name, kind in (("u", "INT4"), ("y", "UINT2"), ("k", "INT4"))}
    properties = {p.key: p.value for p in model.metadata_props}
    assert properties["ssmq.form"] == "dataflow" and properties["ssmq.length"] == "20"
    formats = json.loads(properties["ssmq.formats"])
    assert formats["y"] == {"datatype": "UINT2", "exponent": [-3, 1]} and set(formats) == {"u", "y", "k"}
    assert {(o.domain, o.version) for o in model.opset_import} == {("", 18), ("qonnx.custom_op.general", 1)}
    # Released tools read IR version 9; onnx would write its newest.
    assert (model.ir_version, model.producer_name) == (9, "ssmq")


def test_rows_are_shared_only_if_all_are_equal():
    assert shared_row(np.array([[1, 2], [1, 2]])).tolist() == [[1, 2]]
    assert shared_row(np.array([[1, 2], [1, 3]])).tolist() == [[1, 2], [1, 3]]


def test_a_renamed_tensor_is_renamed_everywhere():
    graph = dataflow(mixed, u="INT4", p="INT8", y="UINT2")
    graph.rename("p", "other")
    assert nodes(graph)[1:3] == [("Mul", "s", "k", "other"), ("Add", "other", "b", "q")]
    assert graph.datatypes["other"] == "INT8" and graph.exponents["other"] == 0 and graph.channels("other") == 2
    assert graph.infos["other"].name == "other"
    assert [d.dim_value for d in graph.infos["other"].type.tensor_type.shape.dim] == [1, 2]
    assert "p" not in {*graph.datatypes, *graph.exponents, *graph.infos}


def test_formats_of_exact_tensors_hold_their_ranges():
    def draw(g):
        port(g, "u", 2, fmt(4, [-1, -3]))
        g.quant("u", "v", fmt(3, -2, signed=False), 2)
        g.node("Add", ["v", "v"], "twice", 2)
        g.node("Mul", ["u", g.weight("w", weight([[3, 5]]))], "y", 2)
        g.node("Relu", ["u"], "floating", 2)
        g.output(g.node("MatMul", ["v", g.weight("m", weight([[1], [1]]))], "one", 1), 1)
        for name in ("twice", "y", "floating"):
            g.output(name, 2)

    model = step(draw).model()
    assert exact_formats(model) == {
        "u": {"bits": 4, "signed": True, "exponent": [-1, -3]},
        "v": {"bits": 3, "signed": False, "exponent": -2},
        "one": {"bits": 4, "signed": False, "exponent": -2},
        "twice": {"bits": 4, "signed": False, "exponent": -2},
        "y": {"bits": 7, "signed": True, "exponent": [-1, -3]},
    }


def test_only_a_step_graph_of_this_program_is_lowered():
    graph = dataflow(mixed, u="INT4", y="UINT2")
    graph.properties["note"] = "step"
    model = graph.model()
    with pytest.raises(ExportError, match="only a step graph written by this program can be lowered"):
        lower(model)


class _Drawn:
    """A step graph of any make: two ports and up to nine operators, states looped nowhere."""

    def __init__(self, draw, g: GraphBuilder):
        self.draw, self.g, self.rng = draw, g, np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        self.sums: dict[str, tuple[int, int]] = {}  # tensor -> channels, about its finest exponent
        for name in ("u", "v"):
            port(g, name, 2, fmt(4, self.exponent(2)))
            self.sums[name] = 2, -2

    def exponent(self, channels: int):
        return self.rng.integers(-3, 1, channels) if self.draw(st.booleans()) else int(self.rng.integers(-3, 1))

    def one(self, channels: int | None = None) -> str:
        return self.draw(st.sampled_from([n for n, (c, _) in self.sums.items() if channels in (None, c)]))

    def matmul(self, name: str) -> None:
        source, outputs = self.one(), self.draw(st.integers(1, 3))
        codes = self.rng.integers(-3, 4, (self.sums[source][0], outputs)) * self.rng.integers(0, 2, outputs)
        exponent = np.reshape(self.exponent(outputs), (1, -1)) if outputs > 1 else 0
        exponent = exponent if np.size(exponent) > 1 else int(np.ravel(exponent)[0])
        self.g.node("MatMul", [source, self.g.weight(f"w{name}", weight(codes, exponent, 4))], name, outputs)
        self.sums[name] = outputs, self.sums[source][1] - 3

    def scaled(self, name: str) -> None:
        source = self.one()
        channels = self.sums[source][0]
        codes = self.draw(st.sampled_from([[1], [2], [4], [3], [-1], [0]])) * channels
        self.g.node(
            "Mul", [source, self.g.weight(f"w{name}", weight([codes], int(self.rng.integers(-2, 1)), 4))], name, channels
        )
        self.sums[name] = channels, self.sums[source][1] - 2

    def joined(self, name: str) -> None:
        left = self.one()
        channels = self.sums[left][0]
        right = self.one(channels)
        self.g.node(self.draw(st.sampled_from(["Add", "Sub"])), [left, right], name, channels)
        self.sums[name] = channels, min(self.sums[left][1], self.sums[right][1])

    def moved(self, name: str) -> None:
        source = self.one()
        channels = self.sums[source][0]
        term = weight(self.rng.integers(-7, 8, (1, channels)), int(self.rng.integers(-6, 1)), 4)
        self.g.node(self.draw(st.sampled_from(["Add", "Sub"])), [source, self.g.weight(f"w{name}", term)], name, channels)
        self.sums[name] = channels, min(self.sums[source][1], -6)

    def quantized(self, name: str) -> None:
        source = self.one()
        channels, last = self.sums[source][0], source
        if self.draw(st.booleans()):
            gain = self.rng.uniform(0, 1.5, (1, channels)).astype(np.float32)
            last = self.g.node("Mul", [last, self.g.constant(f"g{name}", gain)], f"{name}_gained", channels)
            last = self.g.node("Add", [last, self.g.constant(f"o{name}", self.rng.uniform(-1, 1))], f"{name}_moved", channels)
        if self.draw(st.booleans()):
            last = self.g.node("Relu", [last], f"{name}_positive", channels)
        # One exponent for one channel: a format holds a number or one a channel.
        exponent = self.exponent(channels) if channels > 1 else -1
        target = fmt(self.draw(st.integers(2, 4)), exponent, self.draw(st.booleans()))
        self.g.quant(last, name, target, channels)
        self.sums[name] = channels, -3


@st.composite
def any_step(draw) -> Graph:
    def build(g: GraphBuilder) -> None:
        made = _Drawn(draw, g)
        kinds = ["matmul", "scaled", "joined", "moved", "quantized", "joined"]
        for k in range(draw(st.integers(2, 9))):
            getattr(made, draw(st.sampled_from(kinds)))(f"t{k}")
        ends = [name for name in made.sums if not any(name in node.input for node in g.nodes) and name not in "uv"]
        more = [name for name in made.sums if name not in ends and name not in "uv" and draw(st.integers(0, 5)) == 0]
        for name in [*ends, *more]:
            if name not in g.formats:
                g.note_format(name, fmt(24, 0))
            g.output(name, made.sums[name][0])

    graph = step(build, draw(st.booleans()))
    clean_copy = Graph(graph.model())
    PASSES[0](clean_copy)
    widest = max(max(np.abs(grid.low).max(), np.abs(grid.high).max()) for grid in grids_of(clean_copy).values())
    assume(widest < 2**20)
    return graph


@settings(max_examples=100)
@given(any_step())
def test_any_graph_keeps_every_value_through_every_pass(graph):
    codes = np.random.default_rng(0).integers(-8, 8, (40, 2))
    codes[:4] = [[-8, -8], [7, 7], [-8, 7], [7, -8]]
    feeds = {"u": codes, "v": np.roll(codes, 1, 0)}
    before = computed(graph, feeds)
    outputs = list(graph.outputs)
    for run in PASSES:
        run(graph)
        values = computed(Graph(graph.model()), feeds)
        for tensor in before.keys() & values.keys():
            assert np.array_equal(before[tensor], values[tensor]), (run.__name__, tensor)
        assert graph.outputs == outputs and set(outputs) <= values.keys()
    assert set(op_types(graph)) <= {"MatMul", "Mul", "Add", "Sub", "MultiThreshold"}
    # No code leaves the type that its tensor says it has.
    for tensor, found in values.items():
        low, high = integer_range(graph.datatypes[tensor])
        codes = np.ldexp(found, -graph.exponents[tensor])
        assert low <= codes.min() and codes.max() <= high, tensor


def test_every_code_of_a_chain_of_all_passes():
    """Two grids meet behind a gain that no grid holds: thresholds, a shift, its way into the weights, all at once."""

    def draw(g):
        port(g, "u", 2, fmt(4, [-3, -1]))
        a = g.quant(g.node("Mul", ["u", g.constant("gain", ((0.7, 1.9),))], "gained", 2), "a", fmt(3, -1), 2)
        b = g.node("MatMul", [a, g.weight("m", weight([[1, 2], [3, -1]], -3))], "b", 2)
        g.quant(g.node("Add", ["u", b], "sum", 2), "y", fmt(5, -2), 2)
        g.output("y", 2)

    graph = step(draw)
    before = computed(graph, {"u": every_code(2, -8, 7)})
    for run in PASSES:
        run(graph)
    assert np.array_equal(before["y"], computed(graph, {"u": every_code(2, -8, 7)})["y"])
    assert "Mul" in op_types(graph), "the port's own shift stays"


def network(g: GraphBuilder) -> None:
    """u -> a quantised -> moved -> b quantised -> logits; the moved sum goes with fold."""
    port(g, "u", 2, fmt(8, -8, signed=False))
    g.quant("u", "a", fmt(4, -3), 2)
    g.node("Add", ["a", g.weight("term", weight([[1, -2]], -4))], "moved", 2)
    g.note_format("moved", fmt(6, -4))
    g.quant("moved", "b", fmt(3, -1), 2)
    g.node("MatMul", ["b", g.weight("m", weight([[1, 2, 3], [-1, 0, 2]]))], "logits", 3)
    g.note_format("logits", fmt(16, -1))
    g.output("logits", 3)


def test_a_proof_compares_every_coded_tensor_that_both_graphs_have():
    model = step(network).model()
    found = list(prove(model))
    assert [one.name for one in found] == [run.__name__ for run in PASSES]
    steps, logits = 2 * 24, 2 * 3
    # u is given; a, moved and b are compared at every step, moved as long as it is there.
    assert [one.agreement.codes for one in found] == [steps * 6 + logits] + [steps * 4 + logits] * 5
    assert [(one.agreement.differing, one.agreement.sequences) for one in found] == [(0, 2)] * 6
    few = next(prove(model, np.zeros((3, 5, 2), np.uint8)))
    assert few.agreement.codes == 3 * 5 * 6 + 3 * 3
    assert found[-1].model == lower(model)


def test_a_proof_finds_a_level_that_only_inputs_of_middling_size_reach(monkeypatch):
    def careless(graph):
        PASSES[-1](graph)
        rows = graph.constants["a_thresholds"].copy()
        rows[:, len(rows[0]) // 2] += 15
        graph.constants["a_thresholds"] = rows
        return graph, True

    monkeypatch.setattr("ssmq_export.lowering.pipeline.PASSES", (*PASSES[:-1], careless))
    *right, wrong = (one.agreement for one in prove(step(network).model()))
    assert [one.differing for one in right] == [0] * 5
    assert wrong.differing > 0 and wrong.first.startswith("a, sequence 0")


def test_every_pass_leaves_what_it_ensures_and_what_the_others_require():
    """In order, each finds what it requires; what holds before it may be given up only by saying nothing of it."""
    checked: dict[str, list[bool]] = {}
    changed: dict[str, bool] = {}
    for case in ("edge", "paper", "paper-soft", "paper-per-head-polar"):
        graph = Graph(step_graph(small_model(small_config(**CASES[case]))[1].network))
        for run in PASSES:
            for holds in run.requires:
                assert holds(graph), (case, run.__name__, holds.__name__)
            for holds in run.ensures:
                checked.setdefault(holds.__name__, []).append(holds(graph))
            given, modified = run(graph)
            assert given is graph
            changed[run.__name__] = changed.get(run.__name__, False) or modified
            for holds in run.ensures:
                assert holds(graph), (case, run.__name__, holds.__name__)
            assert run(graph) == (graph, False), f"{run.__name__} twice"
    assert changed == {run.__name__: True for run in PASSES}
    # A property that holds of any graph promises nothing.
    assert all(
        not all(before) for name, before in checked.items() if name not in ("tables_are_marked", "one_reader_a_parameter")
    ), checked


def two_sums(g: GraphBuilder) -> None:
    g.input("u", 2)
    g.node("Mul", ["u", g.constant("k", ((3, 5),))], "s", 2)
    g.output(g.node("Add", ["s", g.constant("b", ((1, 2),))], "y", 2), 2)


def test_what_the_properties_of_passes_say():
    """Each holds of a graph, and not of its neighbour."""
    graph = dataflow(two_sums, u="UINT8", s="INT16", y="INT16", k="UINT3", b="UINT2")
    assert contract.ordered(graph) and contract.typed(graph) and contract.one_reader_a_parameter(graph)
    assert contract.holds_codes(graph) and contract.sums_products_and_thresholds(graph)
    graph.nodes.reverse()
    assert not contract.ordered(graph), "a node before what it reads"
    graph.nodes.reverse()
    graph.nodes[0].name = "Mul_t"
    assert not contract.ordered(graph)
    del graph.datatypes["k"]
    assert not contract.typed(graph)
    graph.exponents.update(k=np.zeros(2, int), b=np.zeros(2, int))
    assert contract.one_reader_a_parameter(graph)
    graph.nodes[1].input[1] = "k"
    assert not contract.one_reader_a_parameter(graph)
    graph.nodes[1].op_type = "Div"
    assert not contract.sums_products_and_thresholds(graph)
    graph.form = "step"
    assert not contract.holds_codes(graph)


def test_a_table_is_the_difference_of_two_counts():
    def draw(g: GraphBuilder) -> None:
        g.input("u", 2)
        for name in ("rises", "falls"):
            threshold(g, "u", name)
        g.output(g.node("Sub", ["rises", "falls"], "y", 2), 2)

    graph = dataflow(draw, u="UINT8", rises="UINT2", falls="UINT2", y="INT3")
    graph.nodes[-1].metadata_props.add(key="ssmq.non_monotone", value="y")
    assert contract.tables_are_marked(graph)
    graph.nodes[0].op_type = "Mul"
    assert not contract.tables_are_marked(graph)
