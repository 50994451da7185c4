"""Networks of any shape: every engine gives every code that NumPy computes without looking at a graph."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from ssmq_export.checks import check_model
from ssmq_export.dataflow.ports import ports_of
from ssmq_export.door.graph_file import load_graph
from ssmq_export.errors import ExportError
from ssmq_export.estimates import estimate_graph, find_part
from ssmq_export.exporting import FILES
from ssmq_export.finn import run_hardware_ops
from ssmq_export.graphs.sequence_graph import sequence_graph
from ssmq_export.integer import IntegerModel
from ssmq_export.lowering import collapse, lower
from ssmq_export.verification.agreement import compare
from ssmq_export.verification.engines import run_sequence, run_steps, run_whole
from ssmq_export.verification.graphs import graph_engines
from ssmq_export.verification.proof import prove
from step_graphs import Network, fmt
from step_networks import NETWORKS, branches, detector, network

FORMATS = {
    "2 bits": fmt(2, 0),
    "unsigned, 2 bits": fmt(2, 1, False),
    "8 bits": fmt(8, -4),
    "unsigned, 9 bits": fmt(9, -3, False),
    "16 bits": fmt(16, -13),
    "unsigned, 16 bits": fmt(16, -14, False),
    "an exponent a channel": fmt(10, [-7, -6, -8]),
}


def agree(net: Network, step: onnx.ModelProto) -> None:
    """Every engine, traced, whole and step by step."""
    expected, codes, output = net.expected, net.codes, net.result
    tensors = [name for name, values in expected.items() if values.ndim == 3]
    dataflow = lower(step)
    for engine in graph_engines(step, dataflow, collapse(dataflow)):
        found = engine.run(codes, tensors)
        agreement = compare(engine.name, expected, found)
        assert (agreement.differing, agreement.first) == (0, ""), engine.name
        assert found[output].shape == expected[output].shape, engine.name
    bare = run_sequence(sequence_graph(step), codes)
    assert bare.keys() == {output} and np.array_equal(bare[output], expected[output])
    for integers in (IntegerModel(dataflow), IntegerModel(dataflow, fused=False)):
        whole = integers.values(integers.forward(codes))
        stream = np.stack([integers.step(codes[:, t]) for t in range(codes.shape[1])], axis=1)
        assert np.array_equal(whole, expected[output])
        assert np.array_equal(integers.values(stream), net.values[output])


@pytest.mark.parametrize("double", [False, True], ids=["single", "double"])
@pytest.mark.parametrize("case", NETWORKS)
def test_every_engine_gives_every_code(case, double):
    net = network(double=double)
    step = NETWORKS[case](net)
    agree(net, step)
    assert len(np.unique(net.values[net.result])) > 5, "an output that never moves would agree too"


@pytest.mark.parametrize("case", FORMATS)
def test_the_input_has_any_format(case):
    net = network(FORMATS[case])
    agree(net, detector(True)(net))


REFUSED = {
    "these are from -2049 to ": lambda codes: np.where(np.arange(codes.size).reshape(codes.shape) == 7, -2049, codes),
    "to 2048$": lambda codes: np.where(np.arange(codes.size).reshape(codes.shape) == 7, 2048, codes),
    r"these are float64 \(4, 12, 3\)": lambda codes: codes.astype(float),
    r"these are int64 \(4, 12, 2\)": lambda codes: codes[..., :2],
    r"these are int64 \(4, 12\)": lambda codes: codes[..., 0],
    r"these are int64 \(0, 12, 3\)": lambda codes: codes[:0],
}


@pytest.mark.parametrize("told", REFUSED)
def test_codes_out_of_the_input_s_format_are_refused_by_every_engine(told):
    net = network()
    step = detector(True)(net)
    dataflow, codes = lower(step), REFUSED[told](net.codes)
    whole = collapse(dataflow)
    for run in (
        lambda: run_steps(step, codes, []),
        lambda: run_sequence(sequence_graph(step), codes),
        lambda: run_steps(dataflow, codes, []),
        lambda: run_whole(whole, codes, []),
        lambda: IntegerModel(dataflow).forward(codes),
        lambda: run_hardware_ops(dataflow, codes),
    ):
        with pytest.raises(
            ExportError, match=r"^codes of u must be integers from -2048 to 2047, \(B, T, 3\) and not empty, .*" + told
        ):
            run()


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.int64])
def test_codes_of_any_integer_type_are_the_same_codes(dtype):
    net = network()
    integers = IntegerModel(lower(detector(True)(net)))
    assert np.array_equal(integers.values(integers.forward(net.codes.astype(dtype))), net.values["result"])


def test_a_tensor_called_as_the_sequence_graph_calls_its_own():
    """Names come from other people's modules."""
    net = network()
    for name in ("sequence", "batch_size", "joined_before", "pool_final", "pool_initial"):
        net.quant(net.linear("u", 4, f"{name}.exact"), fmt(8, -5), name)
    joined = net.add("sequence", "batch_size", "joined")
    pooled = net.sum(net.quant(net.add(joined, "pool_final", "pool_now"), fmt(8, -4), "pool_next_before"), "pool")
    met = net.add(net.quant(pooled, fmt(8, -1), "pooled"), net.add("joined_before", "pool_initial", "joined_last"), "met")
    agree(net, net.model(net.quant(met, fmt(8, -1), "step")))


@pytest.mark.parametrize("case", NETWORKS)
def test_graphs_are_valid_legal_and_read_back(case, tmp_path):
    net = network()
    step = NETWORKS[case](net)
    dataflow = lower(step)
    models = step, sequence_graph(step, tuple(net.values.keys() - {"u"})[:3]), dataflow, collapse(dataflow)
    for (form, file), model in zip(FILES.items(), models, strict=True):
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, tmp_path / file)
        if form != "sequence":
            assert ports_of(load_graph(tmp_path / file, form)).output.each_step is bool(net.each_step)
        if "dataflow" in form:
            assert [finding for finding in check_model(model) if finding.severity == "error"] == []
            assert estimate_graph(model, find_part("xc7z020")).as_dict()["cycles_per_sequence"] > net.codes.shape[1]
    assert all(proof.agreement.differing == 0 for proof in prove(step, net.codes))


def test_a_sum_so_far_that_no_state_holds_is_refused():
    net = network(double=True)
    total = net.sum(branches(net), "pool")
    for name in ("pool", total):
        net.g.note_format(name, fmt(40, -3))
    dataflow = lower(net.model(net.quant(total, fmt(8, -1), "pooled"), True))
    with pytest.raises(ExportError, match="pool_next: state_bits is 40, not 2 to 32, and every step needs the sum so far"):
        collapse(dataflow)
