"""Rules of folded nodes, condition by condition: what FINN's operators assert of PE and SIMD, and what a stream may carry."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from findings import said, severities
from foreign_graphs import Graph

FINN = "finn.custom_op.fpgadataflow.hls"
OURS = "ssmq_export.custom_op"
ROW, TOKENS = (1, 8), (1, 2, 8)


def one(op: str, *, domain: str = FINN, second=None, **attributes) -> onnx.ModelProto:
    """u -> op -> y, and a constant of the shape ``second``."""
    g = Graph()
    g.domains.add(domain)
    operands = [g.input("u", ROW, "INT8")]
    if second is not None:
        operands.append(g.constant(np.ones(second), "INT2"))
    return g.model([g.node(op, operands, ROW, "INT8", domain=domain, **attributes)])


def messages(model, rule):
    found = said(model, rule)
    assert all((node, tensor) == (model.graph.node[0].name, "") for node, tensor, _ in found)
    return [message for _, _, message in found]


@pytest.mark.parametrize(
    "op, attributes, expected",
    [
        ("MVAU_hls", {"MH": 8, "MW": 4, "PE": 8, "SIMD": 4}, []),
        ("MVAU_rtl", {"MH": 8, "MW": 4, "PE": 1, "SIMD": 1}, []),
        ("MVAU_hls", {"MH": 8, "MW": 4, "PE": 3, "SIMD": 8}, ["PE 3 does not divide 8", "SIMD 8 does not divide 4"]),
        ("MVAU_hls", {"MH": 8, "MW": 4, "PE": 0, "SIMD": -2}, ["PE 0 does not divide 8", "SIMD -2 does not divide 4"]),
        ("MVAU_hls", {"MW": 4, "PE": 3}, []),  # of an unknown height
        ("MVAU_hls", {"MH": 8.0, "PE": 3}, []),
        ("MVAU_hls", {"MH": 8, "PE": "three"}, []),
        ("MVAU_hls", {"MH": 8}, []),
        ("VVAU_hls", {"Channels": 8, "PE": 3, "SIMD": 3}, ["PE 3 does not divide 8"]),  # SIMD divides the kernel
        ("ConvolutionInputGenerator_rtl", {"IFMChannels": 8, "SIMD": 3}, ["SIMD 3 does not divide 8"]),
        ("LabelSelect_hls", {"Labels": 10, "PE": 4}, ["PE 4 does not divide 10"]),
        ("FMPadding_rtl", {"NumChannels": 8, "SIMD": 3}, ["SIMD 3 does not divide 8"]),
        ("Thresholding_rtl", {"NumChannels": 8, "PE": 3}, ["PE 3 does not divide 8"]),
        ("Thresholding_rtl", {"NumChannels": 8, "PE": 8}, []),
        ("Pool_hls", {"Channels": 8, "PE": 16}, ["PE 16 does not divide 8"]),
        ("Pool_hls", {"NumChannels": 6, "Channels": 8, "PE": 8}, ["PE 8 does not divide 6"]),
        ("ElementwiseAdd_hls", {"out_shape": [4, 8, 6], "PE": 8}, ["PE 8 does not divide 6"]),
        ("ElementwiseAdd_hls", {"out_shape": [4, 6, 8], "PE": 8}, []),
        ("OuterShuffle_hls", {"out_shape": [6, 8], "NumChannels": 128, "SIMD": 16}, ["SIMD 16 does not divide 8"]),
        ("ElementwiseAdd_hls", {"out_shape": 8, "PE": 3}, []),
        ("ElementwiseAdd_hls", {"out_shape": [8.0], "PE": 3}, []),
    ],
)  # fmt: skip
def test_lanes_divide_what_the_operator_counts(op, attributes, expected):
    assert messages(one(op, **attributes), "folding") == expected


def test_an_empty_shape_counts_nothing():
    model = one("Reshape_hls", PE=3)
    model.graph.node[0].attribute.append(onnx.AttributeProto(name="out_shape", type=onnx.AttributeProto.INTS))
    assert messages(model, "folding") == []


def test_a_node_that_is_no_hardware_has_no_lanes():
    for op, second in (("Thresholding_rtl", None), ("DiagonalScan", (4, 3))):
        assert messages(one(op, domain="com.example", second=second, NumChannels=8, PE=5), "folding") == []
    assert messages(one("Other", domain=OURS, second=(4, 3), PE=5), "folding") == []


@pytest.mark.parametrize("op, domain", [("DiagonalScan", OURS), ("DiagonalScan_rtl", FINN)])
@pytest.mark.parametrize("lanes, legal", [(-1, 0), (0, 0), (1, 1), (2, 0), (3, 1), (6, 1), (9, 0), (12, 1), (24, 0)])
def test_lanes_of_a_scan_of_four_heads_of_three_modes(op, domain, lanes, legal):
    expected = [] if legal else [f"PE {lanes} divides neither 3 modes nor makes whole heads of 4"]
    assert messages(one(op, domain=domain, second=(4, 3), PE=lanes), "folding") == expected


@pytest.mark.parametrize("second, attributes", [(None, {"PE": 5}), ((4, 3, 1), {"PE": 5}), ((12,), {"PE": 5}), ((4, 3), {})])
def test_a_scan_of_unknown_size_is_not_judged_by_it(second, attributes):
    model = one("DiagonalScan", domain=OURS, second=second, **attributes)
    assert messages(model, "folding") == messages(model, "recurrence-rate") == []


@pytest.mark.parametrize(
    "size, lanes, cycles",
    [
        ((4, 3), 1, None), ((4, 3), 2, 6), ((4, 3), 12, 1), ((4, 3), 24, None), ((4, 3), 0, None), ((4, 3), -1, None),
        ((5, 2), 2, None),  # as many modes as the loop has cycles: no PE makes it faster
        ((11, 1), 1, None), ((12, 1), 2, 6), ((10, 2), 2, None), ((6, 3), 3, 6),
    ],
)  # fmt: skip
def test_a_sweep_shorter_than_the_loop_of_ten_cycles_stalls(size, lanes, cycles):
    model = one("DiagonalScan", domain=OURS, second=size, PE=lanes)
    expected = [] if cycles is None else [f"sweeps its modes in {cycles} cycles, and a state is back after 10"]
    assert messages(model, "recurrence-rate") == expected
    assert severities(model, "recurrence-rate") <= {"warning"}
    assert messages(one("MVAU_hls", second=size, PE=lanes), "recurrence-rate") == []


@pytest.mark.parametrize(
    "op, attributes, expected",
    [
        ("MVAU_hls", {"MW": 8191, "SIMD": 8191, "inputDataType": "UINT1"}, None),
        ("MVAU_hls", {"MW": 8192, "SIMD": 8192, "inputDataType": "UINT1"}, ("input", 8192, 1)),
        ("MVAU_hls", {"MW": 8000, "SIMD": 8000, "inputDataType": "BIPOLAR"}, None),  # one bit
        ("MVAU_hls", {"MW": 4096, "SIMD": 4096, "inputDataType": "TERNARY"}, ("input", 4096, 2)),
        ("MVAU_hls", {"MW": 4096, "SIMD": 4096, "inputDataType": "FLOAT32"}, None),  # another rule's
        ("MVAU_hls", {"MW": 4, "MH": 4096, "SIMD": 4, "PE": 4096, "inputDataType": "INT2", "outputDataType": "INT2"}, ("output", 4096, 2)),
        ("MVAU_hls", {"MW": 4, "MH": 4, "SIMD": 2, "PE": 4, "weightDataType": "INT1024"}, ("weight", 8, 1024)),
        ("MVAU_hls", {"MW": 4, "MH": 4, "SIMD": 2, "PE": 4, "weightDataType": "INT1023"}, None),
        ("Thresholding_rtl", {"NumChannels": 4, "PE": 4, "inputDataType": "INT2048"}, ("input", 4, 2048)),
        ("Thresholding_rtl", {"NumChannels": 4, "PE": 4, "outputDataType": "INT2048"}, ("output", 4, 2048)),
        ("Thresholding_rtl", {"NumChannels": 4, "PE": 4, "weightDataType": "INT2048"}, None),  # a memory, no stream
        ("ConvolutionInputGenerator_rtl", {"IFMChannels": 4, "SIMD": 4, "outputDataType": "INT2048"}, ("output", 4, 2048)),
        ("AddStreams_hls", {"inputDataType": "INT8191", "outputDataType": "INT8191"}, None),
        ("AddStreams_hls", {"inputDataType": "INT8192"}, ("input", 1, 8192)),
        ("AddStreams_hls", {"outputDataType": "INT8192"}, ("output", 1, 8192)),
    ],
)  # fmt: skip
def test_a_folded_stream_is_no_wider_than_hls_integers(op, attributes, expected):
    text = [f"its {expected[0]} stream has {expected[1]} elements of {expected[2]} bits, more than 8191"] if expected else []
    assert messages(one(op, **attributes), "folded-width") == text
    assert messages(one(op, domain="com.example", **attributes), "folded-width") == []


def chain(*links: tuple[str, str, str]) -> onnx.ModelProto:
    """Links "operands, result, operator": hardware if the operator has a back end, else of the host. Ends in the last."""
    g = Graph()
    g.domains.add(FINN)
    g.input("u", ROW, "INT8")
    for operands, result, op in links:
        g.node(op, operands.split(), ROW, "INT8", out=[result], domain=FINN if "_" in op else "")
    return g.model([links[-1][1]])


def test_hardware_nodes_on_one_stream_starve_each_other():
    hard = [("u", "a", "Copy_hls"), ("u", "b", "Copy_hls"), ("a b", "y", "Add_hls")]
    assert said(chain(*hard), "fork") == [("Copy_hls_0", "u", "is read by 2 nodes and not duplicated")]
    mixed = [("u", "a", "Neg"), ("u", "b", "Copy_hls"), ("u", "c", "Neg"), ("a b c", "y", "Add_hls")]
    assert said(chain(*mixed), "fork") == [("Copy_hls_1", "u", "is read by 3 nodes and not duplicated")]
    assert said(chain(("u", "a", "Neg"), ("u", "b", "Neg"), ("a b", "y", "Add_hls")), "fork") == []
    assert said(chain(("u", "a", "Copy_hls"), ("a", "y", "Copy_hls")), "fork") == []
    g = Graph()
    w = g.constant(np.ones(ROW), "INT2")
    x = g.node("Mul_hls", [g.input("u", ROW, "INT8"), w], ROW, "INT8", domain=FINN)
    assert said(g.model([g.node("Mul_hls", [x, w], ROW, "INT8", domain=FINN)]), "fork") == []  # each has its own memory of w


def test_a_foreign_node_between_hardware_nodes_is_named_with_the_one_it_is_before():
    def found(*links):
        return [(node, message) for node, _, message in said(chain(*links), "single-partition")]

    hard, host, after = ("u", "a", "Copy_hls"), ("a", "b", "Neg"), ("b", "c", "Copy_hls")
    assert found(hard, host, after) == [("Neg_1", "Neg stands between hardware nodes, before Copy_hls_2")]
    assert found(hard, host, ("b", "c", "Abs"), ("c", "y", "Copy_hls")) == [
        ("Neg_1", "Neg stands between hardware nodes, before Copy_hls_3")
    ]
    twice = found(hard, host, after, ("c", "d", "Abs"), ("d", "y", "Copy_hls"))
    assert twice == [*found(hard, host, after), ("Abs_3", "Abs stands between hardware nodes, before Copy_hls_4")]
    joined = found(hard, host, ("a", "c", "Abs"), ("b c", "y", "Add_hls"))  # one operand is enough to say
    assert joined == [("Neg_1", "Neg stands between hardware nodes, before Add_hls_3")]
    met = found(hard, host, ("a", "c", "Abs"), ("b c", "d", "Add"), ("d", "y", "Copy_hls"))
    assert met == [("Neg_1", "Neg stands between hardware nodes, before Copy_hls_4")]
    assert found(hard, ("a", "b", "Copy_hls"), ("b", "y", "Neg")) == []
    assert found(("u", "a", "Neg"), ("a", "b", "Copy_hls"), ("b", "y", "Copy_hls")) == []
    assert found(("u", "a", "Neg"), ("a", "y", "Neg")) == []
    assert found(("u", "h", "Neg"), hard, ("a h", "y", "Add_hls")) == []


def residual(around: tuple[str, ...] = (), way: tuple[str, ...] = ("MatMul",), **kinds) -> onnx.ModelProto:
    """u forks; one branch goes through the operators of ``way``, the other of ``around``, and an Add joins them."""
    g = Graph()
    g.domains |= {FINN, OURS}
    ends, w = [], g.constant(np.ones((8, 8)), "INT2")
    u = g.input("u", TOKENS, "INT8")
    for ops in (around, way):
        x = u
        for op in ops:
            domain = FINN if "_" in op else OURS if op == "DiagonalScan" else ""
            x = g.node(op, [x] if op == "Relu" else [x, w], TOKENS, "INT8", domain=domain)
        ends.append(x)
    return g.model([g.node("Add", ends, TOKENS, "INT8", out=["y"])], **kinds)


BUFFERED = [("u", "waits here for a sum over channels: a FIFO of 8 elements")]


def waiting(model):
    return [(tensor, message) for _, tensor, message in said(model, "residual-buffer")]


@pytest.mark.parametrize("op", ["MatMul", "MVAU_hls", "DiagonalScan"])
@pytest.mark.parametrize("around", [(), ("Relu",)])
def test_the_short_way_waits_for_a_sum_over_channels(op, around):
    model = residual(around, (op,))
    assert (
        waiting(model) == waiting(residual((op,), around or ("Relu",))) == waiting(residual(around, ("Relu", op))) == BUFFERED
    )
    ((node, _, _),) = said(model, "residual-buffer")
    assert node == model.graph.node[-1].name and severities(model, "residual-buffer") == {"info"}


@pytest.mark.parametrize(
    "ways",
    [((), ("Relu",)), (("Relu",), ("Relu", "Relu")), (("MatMul",), ("MatMul",)), (("MatMul", "MatMul"), ("MatMul", "MatMul"))],
)
def test_ways_of_as_many_sums_need_no_buffer(ways):
    assert waiting(residual(*ways)) == []


def test_one_sum_more_is_waited_for_behind_others():
    assert waiting(residual(("MatMul",), ("MatMul", "Relu", "MatMul"))) == BUFFERED


def test_a_way_that_forks_and_joins_itself_is_waited_for_with_its_sums():
    g = Graph()
    u, w = g.input("u", TOKENS, "INT8"), g.constant(np.ones((8, 8)), "INT2")
    way = g.node("Relu", [u], TOKENS, "INT8", out=["way"])
    inner = g.node("Add", [way, g.node("MatMul", [way, w], TOKENS, "INT8")], TOKENS, "INT8")
    outer = g.node("Add", [u, inner], TOKENS, "INT8")
    found = [(node, tensor) for node, tensor, _ in said(g.model([outer]), "residual-buffer")]
    assert found == [("Add_3", "u"), ("Add_2", "way")]


@pytest.mark.parametrize("turned", [1, -1])
def test_ways_that_part_at_a_later_fork_wait_there(turned):
    """Both readers of u go on at one pace; what is read again beside its own sum is the short way alone."""
    g = Graph()
    u, w = g.input("u", TOKENS, "INT8"), g.constant(np.ones((8, 8)), "INT2")
    short, other = (g.node("Relu", [u], TOKENS, "INT8") for _ in range(2))
    sums = [g.node("MatMul", [x, w], TOKENS, "INT8") for x in (short, other)]
    met = g.node("Add", sums[::turned], TOKENS, "INT8")
    last = g.node("Add", [met, short][::turned], TOKENS, "INT8")
    found = [(node, tensor) for node, tensor, _ in said(g.model([last]), "residual-buffer")]
    assert found == [("Add_5", short)]


def test_shapes_that_follow_need_not_be_declared_to_be_waited_for():
    assert waiting(residual(inner=False)) == BUFFERED


def test_what_is_no_fork_is_not_waited_for():
    g = Graph()
    u, w = g.input("u", ROW, "INT8"), g.constant(np.ones((8, 8)), "INT2")
    last = g.node(
        "Add", [g.node("Relu", [u], ROW, "INT8"), g.node("MatMul", [g.input("v", ROW, "INT8"), w], ROW, "INT8")], ROW, "INT8"
    )
    assert waiting(g.model([last])) == []  # two ways, of two tensors
    assert (
        waiting(g.model([g.node("Mul", [last, g.node("Mul", [u, w], (8, 8), "INT8")], (8, 8), "INT8")])) == []
    )  # a weight read twice


def test_a_fork_of_no_channels_is_not_waited_for():
    g = Graph()
    u, w = g.input("u", (), "INT8"), g.constant(np.ones((8, 8)), "INT2")
    long = g.node("MatMul", [g.node("Mul", [u, g.constant(np.ones(ROW), "INT2")], ROW, "INT8"), w], ROW, "INT8")
    assert waiting(g.model([g.node("Add", [u, long], ROW, "INT8")])) == []


def test_a_fork_of_a_float_graph_is_not_waited_for():
    model = residual()
    model.graph.node.append(onnx.helper.make_node("Quant", ["y", "y", "y", "y"], ["q"], domain="qonnx.custom_op.general"))
    assert waiting(model) == []


def test_of_many_forks_the_first_64_are_told():
    g = Graph()
    x, w = g.input("u", ROW, "INT8"), g.constant(np.ones((8, 8)), "INT2")
    for _ in range(66):
        x = g.node("Add", [x, g.node("MatMul", [x, w], ROW, "INT8")], ROW, "INT8")
    assert len(waiting(g.model([x]))) == 64
