"""Thresholds and tables equal the float function they replace, on every input code."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from conftest import LENGTH, part, small_codes, small_config, small_model
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper
from scipy.special import erf
from ssmq_brevitas.config import TABLE_BITS
from ssmq_export.dataflow.format import Format
from ssmq_export.dataflow.quant_function import quant_function
from ssmq_export.errors import ExportError
from ssmq_export.exporting import export_graphs
from ssmq_export.from_network import step_graph, trace
from ssmq_export.functions.elementwise import ElementwiseFunction, constants_of
from ssmq_export.functions.thresholds import monotone_thresholds, rise_and_fall, table_thresholds
from ssmq_export.graphs.builder import GraphBuilder
from ssmq_export.integer import IntegerModel
from ssmq_export.lowering import PASSES, collapse, lower
from ssmq_export.lowering.graph import Graph
from ssmq_export.lowering.shifts import shifts
from ssmq_export.verification.agreement import compare
from ssmq_export.verification.engines import run_whole, with_batch
from ssmq_export.verification.proof import prove
from test_graphs import CASES

CHANNELS = 3


@st.composite
def chains(draw):
    """A function of one tensor, as an exported graph holds it: affine maps, a non-linearity, a Quant."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    g = GraphBuilder("rows", np.float32)
    g.input("s", CHANNELS)
    tensor = "s"
    for k in range(draw(st.integers(0, 2))):
        tensor = g.node("Mul", [tensor, g.constant(f"m{k}", rng.uniform(0, 2, (1, CHANNELS)))], f"scaled{k}", CHANNELS)
        tensor = g.node("Add", [tensor, g.constant(f"a{k}", rng.uniform(-2, 2, (1, CHANNELS)))], f"moved{k}", CHANNELS)
    kind = draw(st.sampled_from(["none", "relu", "sigmoid"]))
    if kind == "relu":
        tensor = g.node("Relu", [tensor], "relu", CHANNELS)
    elif kind == "sigmoid":
        tensor = g.in_double("Sigmoid", tensor, "sigmoid", CHANNELS)
    fmt = Format(draw(st.integers(2, 6)), draw(st.booleans()), np.int64(draw(st.integers(-6, 0))))
    g.quant(tensor, "q", fmt, CHANNELS)
    exponent = np.asarray(draw(st.sampled_from([[-4], [-5, -4, -3]])))
    return ElementwiseFunction(g.nodes, constants_of(g.model("chain", {}).graph), "s", exponent, np.float32), fmt


@settings(max_examples=60)
@given(chains())
def test_thresholds_equal_the_function_on_every_code(chain):
    function, fmt = chain
    assert np.all(function.directions > 0)
    low, high = np.full(CHANNELS, -300), np.full(CHANNELS, 300)
    levels = np.arange(fmt.low + 1, fmt.high + 1)
    thresholds = monotone_thresholds(function, low, high, levels)
    codes = np.broadcast_to(np.arange(-300, 301)[:, None], (601, CHANNELS))
    counted = fmt.low + (codes[:, :, None] >= thresholds[None]).sum(axis=2)
    assert np.array_equal(counted, function(codes))
    assert np.all(np.diff(thresholds, axis=1) >= 0)


@given(st.lists(st.integers(-8, 8), min_size=2, max_size=40), st.integers(-50, 50))
def test_any_table_is_a_rise_and_a_fall(values, first):
    outputs = np.array(values)[:, None]
    start, rises, falls = rise_and_fall(outputs, first)
    codes = first + np.arange(len(values))[:, None]
    counted = start + (codes >= rises).sum(axis=1) - (codes >= falls).sum(axis=1)
    assert np.array_equal(counted, outputs[:, 0])


def test_ties_go_to_even_levels():
    """One channel, a state of 3 bits, two fractional bits in the sum: thresholds by hand."""
    g = GraphBuilder("rows", np.float32)
    g.input("s", 1)
    g.quant("s", "q", Format(3, True, np.int64(0)), 1)
    function = ElementwiseFunction(g.nodes, constants_of(g.model("q", {}).graph), "s", np.array([-2]), np.float32)
    thresholds = monotone_thresholds(function, np.array([-20]), np.array([20]), np.arange(-3, 4))
    # Level y starts at y - 1/2 (quarters: 4 y - 2), its tie included only if y is even.
    assert thresholds.tolist() == [[4 * y - 2 + (y % 2) for y in range(-3, 4)]]


@pytest.mark.parametrize("activation", ["hard_gelu", "gelu"])
def test_a_tabulated_activation_equals_the_graph_on_every_code(activation):
    model = {"norm": "none", "activation": activation, "gate": "hard_sigmoid", "layers": 1}
    _, quantized = small_model(small_config(model=model))
    step = step_graph(quantized.network)
    dataflow = lower(step)
    codes = np.arange(-128, 128)
    fmt = part(quantized, "blocks.0.ssm_quant").format
    quantizer = part(quantized, "blocks.0.activation_quant")
    out = quantizer.format
    import torch

    with torch.no_grad():
        y = torch.from_numpy(fmt.values(codes)).float()
        expected = quantizer(part(quantized, "blocks.0.activation")(y)).numpy()
    graph = {node.output[0]: node for node in dataflow.graph.node}
    constants = constants_of(dataflow.graph)
    join = graph["blocks.0.activation_quant"]
    assert join.op_type == "Sub"
    counts = []
    for name in join.input:
        node = graph[name]
        bias = next(a.f for a in node.attribute if a.name == "out_bias")
        counts.append(bias + (codes[:, None] >= constants[node.input[1]][0]).sum(axis=1))
    assert np.array_equal((counts[0] - counts[1]) * 2.0 ** int(out.exponent), expected)


def test_a_float_path_without_quantizer_is_named():
    _, model = small_model(small_config(model={"norm": "none", "activation": "relu", "gate": "none", "layers": 1}))
    step = step_graph(model.network)
    for node in step.graph.node:
        if node.name == "Add_blocks.0.add":  # the residual bypasses its quantised operand
            node.input[1] = "float_value"
    step.graph.node.insert(
        [n.name for n in step.graph.node].index("Add_blocks.0.add"),
        helper.make_node("Sigmoid", ["blocks.0.linear"], ["float_value"], name="stray"),
    )
    with pytest.raises(ExportError, match="node stray: a float Sigmoid reaches float_value with no quantiser"):
        lower(step)


@pytest.mark.parametrize("case", ["paper-per-head-polar", "paper-wide", "edge-mixed-widths", "edge-3-channels-coarse-input"])
def test_every_pass_keeps_every_code(case):
    _, model = small_model(small_config(**CASES[case]))
    step = step_graph(model.network)
    proofs = list(prove(step, small_codes(3, channels=model.shape.channels).numpy()[:, :6]))
    assert [proof.name for proof in proofs] == [run.__name__ for run in PASSES]
    for proof in proofs:
        assert proof.agreement.differing == 0, (proof.name, proof.agreement.first)
        assert proof.agreement.codes > 3 * 6 * 4 * 12  # more than the states of two layers
        onnx.checker.check_model(proof.model, full_check=True)


@pytest.mark.parametrize("case", CASES)
def test_every_pass_run_twice_is_the_pass_run_once(case):
    graph = Graph(step_graph(small_model(small_config(**CASES[case]))[1].network))
    for run in PASSES:
        run(graph)
        once = graph.model()
        run(graph)
        assert graph.model() == once, run.__name__


def test_the_pass_that_changes_a_code_is_named(monkeypatch, tmp_path, capsys):
    from ssmq_cli.main import main

    def careless(graph):
        shifts(graph)
        graph.constants["blocks.0.ssm.a_re_x_re_weight"][0] += 64
        return graph, True

    step = tmp_path / "step.onnx"
    _, model = small_model(small_config(model={"layers": 1}))
    onnx.save(step_graph(model.network), step)
    monkeypatch.setattr("ssmq_export.verification.proof.STEPS", 6)
    out, dumped = tmp_path / "dataflow.onnx", tmp_path / "passes"
    arguments = ["lower", str(step), "--out", str(out), "--dump-passes", str(dumped)]
    monkeypatch.setattr("sys.argv", ["ssmq", *arguments])
    main_exit(main, 0)
    names = [f"{k}-{run.__name__}.onnx" for k, run in enumerate(PASSES, start=1)]
    assert sorted(path.name for path in dumped.iterdir()) == names
    assert onnx.load(dumped / names[-1]) == onnx.load(out) == lower(onnx.load(step))
    out.unlink()
    broken = tuple(careless if run is shifts else run for run in PASSES)
    monkeypatch.setattr("ssmq_export.lowering.pipeline.PASSES", broken)
    main_exit(main, 1)
    assert "the pass careless changes" in capsys.readouterr().err and not out.exists()
    codes = small_codes(2).numpy()
    with pytest.raises(ExportError, match="dataflow graph .after the pass careless. differs from the model in"):
        export_graphs(step_graph(model.network), trace(model.network, codes, "fused"), codes, tmp_path / "graphs")


def main_exit(main, code: int) -> None:
    try:
        main()
        found = 0
    except SystemExit as left:
        found = left.code or 0
    assert found == code


def test_only_our_step_graph_is_lowered():
    _, model = small_model(small_config())
    with pytest.raises(ExportError, match="only a step graph"):
        lower(lower(step_graph(model.network)))


@settings(max_examples=60)
@given(st.integers(2, 12), st.booleans(), st.booleans(), st.integers(-5, 3), st.integers(0, 2**32 - 1))
def test_quant_as_a_function_equals_qonnx(bits, signed, narrow, exponent, seed):
    import onnxruntime
    from qonnx.custom_op.general.quant import quant

    rng = np.random.default_rng(seed)
    x = np.ldexp(rng.integers(-(2 ** (bits + 2)), 2 ** (bits + 2), (4, CHANNELS)) / 4.0, exponent).astype(np.float32)
    scale = np.float32(2.0**exponent)
    node = helper.make_node(
        "Quant", ["x", "s", "z", "b"], ["y"], domain="qonnx.custom_op.general",
        signed=int(signed), narrow=int(narrow), rounding_mode="ROUND",
    )  # fmt: skip
    value = lambda name, shape: helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)  # noqa: E731
    constant = lambda name, number: helper.make_tensor(name, onnx.TensorProto.FLOAT, [], [number])  # noqa: E731
    graph = helper.make_graph(
        [node], "q", [value("x", [4, CHANNELS])], [value("y", [4, CHANNELS])],
        [constant("s", scale), constant("z", 0.0), constant("b", float(bits))],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("qonnx.custom_op.general", 1)]
    model = helper.make_model(graph, opset_imports=opsets, functions=[quant_function()], ir_version=9)
    (found,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})
    expected = quant(x, scale, np.float32(0), np.float32(bits), signed, narrow, "ROUND")
    assert np.array_equal(found, expected)


def test_with_batch_changes_only_varying_tensors():
    _, model = small_model(small_config())
    step = with_batch(step_graph(model.network), 7)
    shapes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in step.graph.value_info}
    assert shapes["encoder_quant"] == [7, 4] and shapes["blocks.0.ssm.b_re"] == [4, 12]


@pytest.mark.parametrize("width", [2, 8, TABLE_BITS])
def test_a_table_is_the_model_s_own_function_where_floats_need_to_be_double(width):
    """GELU behind sums too wide for float32, where ONNX Runtime has no erf: every code of y, not only those that occur."""
    bits = {"a": 12, "x": 12, "c": 10, "u": 12, "y": width}
    _, model = small_model(small_config(model={"activation": "gelu", "layers": 1}, bits=bits))
    before, after = part(model, "blocks.0.ssm_quant"), part(model, "blocks.0.activation_quant")
    before.power.set_exponent(4 - width)  # from -8 on: the bend, and where 1 + erf comes next to 0 and to 2
    after.power.set_exponent(-4)
    step = step_graph(model.network)
    assert step.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.DOUBLE
    found = {
        t.name: numpy_helper.to_array(t)[0]
        for t in lower(step).graph.initializer
        if t.name.startswith("blocks.0.activation_quant")
    }
    rows = {name: row for name, row in found.items() if name.endswith("_thresholds")}
    assert len(rows) == (1 if width == 2 else 2)  # the four codes of two bits do not show that GELU falls
    fmt, result = before.format, after.format
    codes = np.arange(fmt.low, fmt.high + 1)
    values = fmt.values(codes)
    expected = result.codes(values * (1 + erf(values / 2**0.5)) / 2)  # the definition, by another library's erf
    counted = sum((codes[:, None] >= row).sum(axis=1) * (-1 if "falls" in name else 1) for name, row in rows.items())
    assert np.array_equal(counted - counted[0], expected - expected[0]) and len(set(expected)) >= width

    def trained(y: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return result.codes(after(part(model, "blocks.0.activation")(torch.from_numpy(y))).numpy())

    assert np.array_equal(trained(values), expected)
    # A value alone takes another way through torch's erf than one among many.
    some = range(0, len(values), max(1, len(values) // 500))
    assert [int(trained(values[k : k + 1])[0]) for k in some] == expected[some].tolist()


@pytest.mark.parametrize("name", ["c", "d", "b"])
def test_pruned_parameters_leave_the_graphs_whole(name):
    """What is 0 in a whole layer is still read: by name in the graph, by a weight of 0 in its sums."""
    _, model = small_model(small_config(model={"layers": 1}, scheme={"equalise": False}))
    with torch.no_grad():
        getattr(part(model, "blocks.0.ssm"), name).zero_()
    dataflow = lower(step_graph(model.network))
    codes = small_codes(4).numpy()
    expected = trace(model.network, codes, "reference")
    tensors = [name for name in expected if name not in ("decoder", "mul_quant")]
    found = run_whole(collapse(dataflow), codes, tensors)
    for agreement in (
        compare("scan", expected, found),
        compare("integer", expected, IntegerModel(dataflow).trace(codes, tensors)),
    ):
        assert (agreement.differing, agreement.sequences) == (0, 4) and agreement.codes > 4 * LENGTH * 8


def test_a_quantizer_that_changes_nothing_keeps_its_codes_under_its_name():
    """An encoder's sum on the grid of u and inside its range; the input's codes, too, may be what the port carries."""
    config = small_config(model={"layers": 1}, bits={"input": 4, "encoder": 3, "bias": 6, "u": 8})
    _, model = small_model(config)
    encoder = model.network.encoder
    exponent = int(encoder.weight_power.exponent) + int(model.network.u_quant.power.exponent)
    model.network.encoder_quant.power.set_exponent(exponent)
    encoder.bias_power.set_exponent(exponent)
    codes = small_codes(4).numpy()
    expected = trace(model.network, codes, "reference")
    dataflow = lower(step_graph(model.network))
    whole = run_whole(collapse(dataflow), codes, ["encoder_quant"])
    integer = IntegerModel(dataflow).trace(codes, ["encoder_quant", "blocks.0.ssm.x_re_next"])
    for found in (whole, integer):
        assert compare("", expected, found).differing == 0 and "encoder_quant" in found


def test_a_table_that_never_falls_is_one_row_of_thresholds():
    outputs = np.array([[-2, 0], [-2, 1], [0, 1], [3, 1]])
    levels = np.arange(-1, 4)
    found = table_thresholds(outputs, -5, levels)
    counted = (np.arange(-5, -1)[:, None, None] >= found).sum(axis=2) - 2
    assert np.array_equal(counted, outputs)
    assert table_thresholds(outputs[::-1], -5, levels) is None
