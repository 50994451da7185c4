"""The integer model gives every code of the dataflow graph, whatever the scheme, the batch and the way it is driven."""

from __future__ import annotations

import functools
import json

import numpy as np
import onnx
import pytest
from conftest import LENGTH, small_codes, small_config, small_model
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import numpy_helper
from ssmq_brevitas.checkpoint import load_checkpoint, save_checkpoint
from ssmq_export.dataflow import rows as compiled
from ssmq_export.errors import ExportError
from ssmq_export.from_network import step_graph, trace
from ssmq_export.graphs.sequence_graph import sequence_graph
from ssmq_export.integer import IntegerModel
from ssmq_export.integer.program import Program
from ssmq_export.lowering import lower
from ssmq_export.verification.agreement import compare
from ssmq_export.verification.engines import run_steps
from with_ports import with_ports

PAPER = {"norm": "none", "activation": "hard_gelu", "gate": "hard_sigmoid"}
EDGE = {"norm": "batch", "activation": "relu", "gate": "hard_sigmoid"}
CASES = {
    "edge": {"model": EDGE},
    "edge-narrow": {"model": EDGE, "bits": {"a": 8, "b": 4, "c": 4, "x": 4, "u": 6, "activation": 6, "linear": 4}},
    "edge-plain": {"model": {**EDGE, "gate": "none"}, "scheme": {"granularity": "head", "equalise": False}},
    "edge-coarse-input": {"model": EDGE, "bits": {"input": 3, "x": 4}},
    "edge-3-channels": {"model": {**EDGE, "channels": 3}},
    "edge-equalised": {"model": EDGE, "scheme": {"equalise": True}},
    "paper": {"model": PAPER},
    "paper-soft": {"model": {**PAPER, "activation": "gelu", "gate": "sigmoid"}},
    "paper-per-head-polar": {"model": PAPER, "scheme": {"granularity": "head", "parameterisation": "log_polar"}},
    "wide-state": {"model": PAPER, "bits": {"a": 16, "x": 12}},
    "widest-state": {"model": EDGE, "bits": {"a": 16, "b": 16, "x": 16}},
}


@functools.cache
def graphs(case: str) -> tuple:
    """Model, step graph and dataflow graph of a case."""
    _, model = small_model(small_config(**CASES[case]))
    step = step_graph(model.network)
    return model, step, lower(step)


def edge() -> onnx.ModelProto:
    """A copy of a dataflow graph, to be damaged."""
    return onnx.ModelProto.FromString(graphs("edge")[2].SerializeToString())


@pytest.mark.parametrize("fused", [True, False], ids=["fused", "node by node"])
@pytest.mark.parametrize("case", CASES)
def test_every_tensor_has_every_code(case, fused):
    model, _, dataflow = graphs(case)
    codes = small_codes(5, 9, model.shape.channels).numpy()
    tensors = [name for node in dataflow.graph.node for name in node.output if name != "decoder"]
    expected = run_steps(dataflow, codes, [*tensors, "blocks.0.ssm.x_re", "sum.kept"])
    integers = IntegerModel(dataflow, fused=fused)
    found = compare("integer model", expected, integers.trace(codes, [*tensors, "blocks.0.ssm.x_re", "sum.kept"]))
    assert (found.differing, found.first, found.sequences) == (0, "", 5)
    assert found.codes > 5 * LENGTH * (len(tensors) + 2) * 3
    # Untraced, sums and states are not stored, so other code runs.
    quantized = [name for name in trace(model.network, codes, "fused") if name not in ("decoder", "mul_quant")]
    assert compare("quantised only", expected, integers.trace(codes, quantized)).differing == 0
    assert np.array_equal(integers.trace(codes, [])["decoder"], expected["decoder"])


@pytest.mark.parametrize("case", ["edge", "paper-soft", "widest-state"])
def test_accumulators_of_64_bits(case, monkeypatch):
    """No model this small needs them, so they are forced."""
    dataflow, codes = graphs(case)[2], small_codes(5, seed=9).numpy()
    tensors = [name for node in dataflow.graph.node for name in node.output if name != "decoder"]
    expected = IntegerModel(dataflow).trace(codes, tensors)
    monkeypatch.setattr(Program, "_accumulator", lambda self: np.int64)
    for fused in (True, False):
        found = IntegerModel(dataflow, fused)
        assert found._program((), 1).dtype == np.int64
        assert compare("64 bits", expected, found.trace(codes, tensors)).differing == 0
        assert np.array_equal(found.trace(codes, [])["decoder"], expected["decoder"])


def test_the_recurrence_is_recognised():
    """Or the fused kernel would not be what the other tests compare. Weights past 16 bits are left to plain sums."""
    for case in CASES:
        pairs = IntegerModel(graphs(case)[2])._program((), 1).pairs
        assert len(pairs) == (0 if case.startswith("wide") else 4), case
    assert IntegerModel(graphs("edge")[2], fused=False)._program((), 1).pairs == {}


@pytest.mark.parametrize("case", ["edge", "edge-3-channels", "paper", "widest-state"])
def test_a_stream_gives_the_logits_of_every_prefix(case):
    model, _, dataflow = graphs(case)
    integers, codes = IntegerModel(dataflow), small_codes(4, 3, model.shape.channels).numpy()
    for _ in range(2):
        integers.reset(4)
        for t in range(LENGTH):
            assert np.array_equal(integers.step(codes[:, t]), integers.forward(codes[:, : t + 1])), t
    integers.reset(1)
    assert np.array_equal(integers.step(codes[2:3, 0]), integers.forward(codes[2:3, :1]))


@pytest.mark.parametrize("fused", [True, False])
def test_any_batch_is_its_sequences_one_by_one(fused):
    """Across tiles, with a last tile that is not full."""
    integers = IntegerModel(graphs("edge")[2], fused=fused)
    codes = np.random.default_rng(5).integers(0, 256, (259, LENGTH), dtype=np.uint8)
    whole = integers.forward(codes)
    assert whole.dtype == np.int64 and len(np.unique(whole)) > 100
    for part in (slice(0, 1), slice(127, 129), slice(200, 233), slice(258, 259)):
        assert np.array_equal(integers.forward(codes[part]), whole[part])
    integers.reset(259)
    stream = [integers.step(codes[:, t]) for t in range(LENGTH)]
    assert np.array_equal(stream[-1], whole)


def test_more_steps_than_the_pooling_sum_was_annotated_for():
    integers = IntegerModel(graphs("edge")[2])
    annotated = integers._program((), 1).steps
    codes = np.tile(small_codes(3).numpy(), (1, 40))
    assert LENGTH <= annotated < codes.shape[1]
    nodes = IntegerModel(graphs("edge")[2], fused=False)
    expected = nodes.trace(codes, ["blocks.1.add_quant", "sum"])
    assert np.array_equal(np.cumsum(expected["blocks.1.add_quant"], axis=1), expected["sum"])
    assert compare("integer model", expected, integers.trace(codes, ["sum"])).differing == 0
    integers.reset(3)
    stream = [integers.step(codes[:, t]) for t in range(codes.shape[1])]
    assert np.array_equal(stream[-1], nodes.forward(codes))


def defined(thresholds: np.ndarray, bias: int, codes: np.ndarray) -> np.ndarray:
    return bias + (codes[:, None] >= thresholds[None]).sum(axis=1)


def assert_compiled(thresholds: list[int], bias: int, low: int, high: int) -> compiled.Row:
    row = compiled.compile_row(np.array(thresholds), bias, low, high)
    near = [t + d for t in thresholds for d in (-2, -1, 0, 1, 2)] + [low, low + 1, high - 1, high]
    codes = np.unique(np.clip(near, low, high))
    expected = defined(np.array(thresholds), bias, codes)
    assert np.array_equal(compiled.evaluate(row, codes), expected)
    assert row.low <= expected.min() and expected.max() <= row.high
    return row


SMALL, LARGE = st.integers(-40, 40), st.integers(-(2**40), 2**40)


@settings(max_examples=150)
@given(st.lists(SMALL | LARGE, min_size=1, max_size=30) | st.lists(SMALL, min_size=1, max_size=60), SMALL, st.data())
def test_any_row_of_thresholds_compiles_exactly(thresholds, bias, data):
    low = data.draw(SMALL | LARGE)
    high = data.draw(st.integers(low, 2**41))
    assert_compiled(sorted(thresholds), bias, low, high)


@settings(max_examples=80)
@given(st.integers(1, 12), st.integers(2, 9), *[st.booleans()] * 2, st.integers(-3000, 3000), st.integers(0, 5000))
def test_roundings_become_shifts(shift, bits, signed, even, offset, below):
    first = -(1 << (bits - 1)) if signed else 0
    levels = np.arange(first + 1, first + (1 << bits))
    half = 1 << (shift - 1)
    thresholds = (levels << shift) - offset - (half - (levels & 1) if even else 0)
    low, high = int(thresholds[0]) - 1 - below, int(thresholds[-1]) + below
    assert assert_compiled(thresholds.tolist(), first, low, high).kind == compiled.ROUND


@settings(max_examples=60)
@given(st.integers(1000, 2**20), st.integers(-(2**24), 2**24), st.integers(2, 9))
def test_lines_become_multiplications(gain, offset, bits):
    """Thresholds of an affine function, gain / 2**20, as a batch norm has: no table, no search."""
    levels = np.arange(1, 1 << bits)
    thresholds = -((offset - (levels << 20)) // gain)
    row = assert_compiled(thresholds.tolist(), 0, int(thresholds[0]) - 100, int(thresholds[-1]) + 100)
    assert row.kind in (compiled.ROUND, compiled.SCALE)


def test_every_kind_of_row_is_reached():
    rng = np.random.default_rng(0)
    curve = np.sort(rng.integers(-3000, 3000, 200))
    wide = np.sort(rng.integers(-(2**40), 2**40, 20))
    rows = {
        compiled.ROUND: [y * 8 - 4 + y % 2 for y in range(-4, 8)],
        compiled.SCALE: [y * 37 // 3 for y in range(-7, 8)],
        compiled.TABLE: curve.tolist(),
        compiled.SEARCH: [*wide.tolist(), int(wide[-1]) + 1],
    }
    for kind, thresholds in rows.items():
        assert assert_compiled(thresholds, -5, thresholds[0] - 9, thresholds[-1] + 9).kind == kind


KINDS = st.sampled_from(["round", "line", "curve", "steps", "far"])


@settings(max_examples=40)
@given(KINDS, st.integers(-300, 300), st.integers(0, 2**32 - 1), st.booleans(), st.booleans())
def test_kernels_execute_any_thresholds(kind, bias, seed, double, fused):
    """A graph of one MultiThreshold on the running sum of pixels, so that its input meets every code."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 300))
    thresholds = {
        "round": 64 * np.arange(count) + 32 + np.arange(count) % 2,
        "line": (np.arange(count) * rng.uniform(3, 90) + 5).astype(np.int64),
        "curve": np.sort(rng.integers(-10, 9000, count)),
        "steps": np.sort(rng.integers(0, 40, count)) * 200,
        "far": np.sort(np.concatenate([rng.integers(0, 9000, count), [2**30 if double else 9000]])),
    }[kind]
    model = counting_graph(thresholds, bias, double)
    codes = rng.integers(0, 256, (4, 30), dtype=np.uint8)
    codes[1] = 1
    codes[2] = 255
    sums = np.cumsum(codes.astype(np.int64), axis=1)
    found = IntegerModel(model, fused).trace(codes, ["level"])["level"][..., 0]
    assert np.array_equal(found, bias + (sums[..., None] >= thresholds).sum(axis=-1))


def counting_graph(thresholds: np.ndarray, bias: int, double: bool) -> onnx.ModelProto:
    """pool_next = pool + u, level = MultiThreshold(pool_next), logits = level * 3."""
    helper, kind = onnx.helper, onnx.TensorProto.DOUBLE
    value = lambda name: helper.make_tensor_value_info(name, kind, [1, 1])  # noqa: E731
    nodes = [
        helper.make_node("Add", ["pool", "u"], ["pool_next"]),
        helper.make_node("MultiThreshold", ["pool_next", "t"], ["level"], out_bias=float(bias), out_scale=1.0),
        helper.make_node("Mul", ["level", "three"], ["logits"]),
    ]
    constants = [
        numpy_helper.from_array(thresholds[None].astype(np.float64), "t"),
        numpy_helper.from_array(np.array([[3.0]]), "three"),
    ]
    graph = helper.make_graph(nodes, "g", [value("u"), value("pool")], [value("logits"), value("pool_next")], constants)
    graph.value_info.append(value("level"))
    kinds = {"u": "UINT8", "pool": "INT40" if double else "INT15", "pool_next": "INT41" if double else "INT16"}
    kinds |= {"level": "INT16", "logits": "INT18", "t": "INT48", "three": "UINT2"}
    for name, datatype in kinds.items():
        annotation = graph.quantization_annotation.add()
        annotation.tensor_name = name
        entry = annotation.quant_parameter_tensor_names.add()
        entry.key, entry.value = "finn_datatype", datatype
    model = helper.make_model(graph)
    formats = {name: {"datatype": kind, "exponent": 0} for name, kind in kinds.items()}
    helper.set_model_props(model, {"ssmq.form": "dataflow", "ssmq.formats": json.dumps(formats)})
    return with_ports(model)


def test_a_quantized_checkpoint_is_lowered_in_memory(tmp_path):
    config = small_config(**CASES["edge"])
    floating, model = small_model(config)
    onnx.save(graphs("edge")[2], tmp_path / "dataflow.onnx")
    save_checkpoint(tmp_path / "model.safetensors", model)
    loaded, _ = load_checkpoint(tmp_path / "model.safetensors")
    codes = small_codes(4).numpy()
    expected = IntegerModel(graphs("edge")[2]).forward(codes)
    assert np.array_equal(IntegerModel(tmp_path / "dataflow.onnx").forward(codes), expected)
    assert np.array_equal(IntegerModel(lower(step_graph(loaded.network))).forward(codes), expected)
    save_checkpoint(tmp_path / "float.safetensors", floating)
    with pytest.raises(ExportError, match="is not quantised: give it to ssmq_brevitas.quantize first"):
        step_graph(load_checkpoint(tmp_path / "float.safetensors")[0].network)


REFUSED = ["step.onnx", "sequence.onnx", "garbage.onnx", "empty.onnx", "none.onnx"]


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_run_is_refused_in_one_line(name, tmp_path):
    step = graphs("edge")[1]
    onnx.save(step, tmp_path / "step.onnx")
    onnx.save(sequence_graph(step), tmp_path / "sequence.onnx")
    (tmp_path / "garbage.onnx").write_bytes(b"\x93not a graph" * 40)
    (tmp_path / "empty.onnx").write_bytes(b"")
    with pytest.raises(ExportError, match=name) as error:
        IntegerModel(tmp_path / name)
    assert "\n" not in str(error.value)
    if name.endswith(".onnx"):
        assert "give the dataflow.onnx" in str(error.value)


def annotate(model: onnx.ModelProto, tensor: str, datatype: str | None) -> None:
    notes = model.graph.quantization_annotation
    (note,) = [note for note in notes if note.tensor_name == tensor]
    if datatype is None:
        notes.remove(note)
    else:
        note.quant_parameter_tensor_names[0].value = datatype


def test_tensors_that_are_no_integers_of_63_bits_are_named():
    messages = {"INT64": "needs more than 63 bits", "FLOAT32": "no integer type", None: "with no type"}
    for datatype, message in messages.items():
        model = edge()
        annotate(model, "blocks.1.ssm.sum_re", datatype)
        with pytest.raises(ExportError, match=rf"^blocks\.1\.ssm\.sum_re: .*{message}"):
            IntegerModel(model)
    model = edge()
    annotate(model, "blocks.0.ssm.x_re", "INT4")  # its successor keeps 8 bits
    with pytest.raises(
        ExportError, match=r"blocks\.0\.ssm\.x_re_next: its codes leave the annotated range of blocks\.0\.ssm\.x_re"
    ):
        IntegerModel(model).forward(np.zeros((1, 1), np.uint8))
    model = edge()
    annotate(model, "sum.kept", "INT63")
    with pytest.raises(ExportError, match="63 bits: choose narrower formats"):
        IntegerModel(model).forward(np.zeros((1, 1), np.uint8))


def test_damaged_graphs_are_refused_in_one_line():
    def without_producer(model):
        del model.graph.node[0]

    def wrong_shape(model):
        (weight,) = [c for c in model.graph.initializer if c.name == "blocks.0.linear_0.product_weight"]
        weight.CopyFrom(numpy_helper.from_array(np.zeros((3, 4), np.float32), weight.name))

    def falling(model):
        (levels,) = [c for c in model.graph.initializer if c.name == "encoder_quant_thresholds"]
        levels.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(levels)[:, ::-1], levels.name))

    def fraction(model):
        (levels,) = [c for c in model.graph.initializer if c.name == "encoder_quant_thresholds"]
        levels.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(levels) + 0.5, levels.name))

    def metadata(model):
        (entry,) = [p for p in model.metadata_props if p.key == "ssmq.formats"]
        entry.value = "{"

    def small_sum(model):
        annotate(model, "sum.kept", "INT4")

    def foreign(model):
        model.graph.node[3].op_type = "Relu"

    cases = {
        without_producer: r"its operand encoder\.product is computed by no node",
        wrong_shape: r"blocks\.0\.linear_0\.product: the shapes of its operands do not fit",
        falling: "encoder_quant: its thresholds must ascend",
        fraction: "encoder_quant_thresholds: a constant that is not integer",
        metadata: "metadata ssmq.formats is missing or damaged",
        small_sum: r"sum: one step may leave the annotated range of sum\.kept",
        foreign: "Relu is no operator of a dataflow graph",
    }
    for damage, message in cases.items():
        model = edge()
        damage(model)
        with pytest.raises(ExportError, match=message) as error:
            IntegerModel(model).forward(np.zeros((1, 1), np.uint8))
        assert "\n" not in str(error.value)


def test_a_stream_outlives_the_type_of_its_running_sum():
    """Past 2**31 the sum moves to 64 bits and keeps its value."""
    model = counting_graph(np.arange(5) * 900, 0, False)
    integers = IntegerModel(model)
    integers.step(np.full(2, 200, np.uint8))
    integers._steps = 2**28
    after = integers.step(np.array([1, 0], np.uint8))
    assert integers._kept_for.dtype == np.int64 and len(integers._programs) == 1
    assert after.tolist() == [[3], [3]]
    assert [int(integers._kept[1][0, 0, b]) for b in range(2)] == [201, 200]


def test_calls_that_make_no_sense_are_refused():
    integers = IntegerModel(graphs("edge")[2])
    for codes in (np.zeros((2, 3)), np.zeros(3, np.uint8), np.zeros((0, 3), np.uint8), np.zeros((3, 0), np.uint8)):
        with pytest.raises(ExportError, match=r"codes of u must be integers from 0 to 255, \(B, T\) and not empty, these are"):
            integers.forward(codes)
    several = IntegerModel(graphs("edge-3-channels")[2])
    for codes in (np.zeros((2, 3), np.uint8), np.zeros((2, 4, 2), np.uint8), np.zeros((2, 4, 3))):
        with pytest.raises(
            ExportError, match=r"codes of u must be integers from 0 to 255, \(B, T, 3\) and not empty, these are"
        ):
            several.forward(codes)
    with pytest.raises(ExportError, match=r"codes of u must be integers from 0 to 255, \(B, 3\)"):
        several.step(np.zeros(3, np.uint8))
    with pytest.raises(ExportError, match="no such tensor to trace"):
        integers.trace(np.zeros((1, 1), np.uint8), ["nothing"])
    integers.step(np.zeros(3, np.uint8))
    with pytest.raises(ExportError, match=r"got 2 inputs for 3 sequences: call reset\(2\)"):
        integers.step(np.zeros(2, np.uint8))
