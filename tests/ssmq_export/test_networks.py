"""Drawn networks of the supported set: every engine gives every code of the quantised network itself."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from called import WORKS, Called
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import Residual, networks, settled
from ssmq_brevitas.config import Bits, Scheme
from ssmq_brevitas.input_format import InputFormat
from ssmq_brevitas.network.quantize import quantize
from ssmq_export.checks import check_model
from ssmq_export.dataflow.ports import ports_of
from ssmq_export.errors import ExportError
from ssmq_export.exporting import FILES
from ssmq_export.from_network import export, network_spec, trace
from ssmq_export.graphs.network_graph import network_graph
from ssmq_export.graphs.sequence_graph import sequence_graph
from ssmq_export.integer import IntegerModel
from ssmq_export.lowering import collapse, lower
from ssmq_export.verification.agreement import compare
from ssmq_export.verification.engines import run_sequence, run_steps, run_whole

WIDTHS = ("a", "b", "c", "d", "x", "u", "y", "activation", "linear", "encoder", "decoder", "pool", "input")
schemes = st.builds(
    lambda widths, **grids: Scheme(bits=Bits(**widths), **grids),
    st.fixed_dictionaries({name: st.integers(2, 8) for name in WIDTHS}),
    parameterisation=st.sampled_from(["discrete", "continuous", "polar", "log_polar"]),
    granularity=st.sampled_from(["tensor", "head"]),
    equalise=st.booleans(),
)


def agree(network, scheme: Scheme, batch: torch.Tensor, input_format: InputFormat | None = None) -> None:
    """Quantise and export ``network``, and compare the engines on random codes."""
    quantized = quantize(network, scheme, batch, input_format)
    step = network_graph(network_spec(quantized))
    given = ports_of(step).input
    codes = np.random.default_rng(0).integers(given.format.low, given.format.high + 1, batch.shape).astype(np.int32)
    reference = trace(quantized, codes, "reference")
    names = [name for name, value in reference.items() if value.ndim == 3]
    # Of three steps the last is not the last of all, and a mean is one over all: only what is known at every step counts.
    few, short = codes[:2, :3], {name: reference[name][:2, :3] for name in names}
    if not names:
        few, short = codes[:2], {name: value[:2] for name, value in reference.items()}
    dataflow = lower(step)
    whole = {
        "fused": trace(quantized, codes, "fused"),
        "ONNX Runtime": run_sequence(sequence_graph(step), codes),
        "integers": IntegerModel(dataflow).trace(codes, names),
        "qonnx, sequence": run_whole(collapse(dataflow), codes, names),
    }
    steps = {
        "integers, node by node": IntegerModel(dataflow, fused=False).trace(few, names),
        "qonnx, step": run_steps(step, few, names),
        "qonnx, dataflow": run_steps(dataflow, few, names),
    }
    for wanted, engines in ((reference, whole), (short, steps)):
        for engine, found in engines.items():
            result = compare(engine, wanted, {name: value for name, value in found.items() if name in wanted})
            assert not result.differing and result.codes, result
    assert not [finding for finding in check_model(dataflow) if finding.severity == "error"]


@pytest.mark.parametrize("case", WORKS.values(), ids=WORKS)
def test_every_way_to_write_a_call_exports(case, tmp_path):
    """``export`` compares all graphs with the network, code by code."""
    torch.manual_seed(0)
    batch = torch.randn(4, 10, 6)
    network = quantize(settled(Called(*copy.deepcopy(case)), batch.clone()), Scheme(), batch)
    assert all(found.codes and not found.differing for found in export(network, tmp_path / "graphs").agreements)


def test_halves_of_a_layer_are_layers_of_half_the_outputs():
    """Neither multiplies what the other gives out, nor selects it: 6 inputs and 3 outputs each."""
    torch.manual_seed(0)
    network = Called(lambda m, x: torch.nn.functional.glu(m.a(x), -1)).eval()
    step = network_graph(network_spec(quantize(network, Scheme(), torch.randn(4, 10, 6))))
    shapes = {constant.name: list(constant.dims) for constant in step.graph.initializer}
    quants = {node.output[0]: node.input[0] for node in step.graph.node if node.op_type == "Quant"}
    weights = [quants[node.input[1]] for node in step.graph.node if node.op_type == "MatMul"]
    assert [shapes[weight] for weight in weights] == [[6, 3], [6, 3]]


def test_a_batch_beyond_the_range_of_the_input_is_clipped_and_hooks_are_taken_off(tmp_path):
    torch.manual_seed(0)
    batch = torch.randn(4, 12, 3)
    network = quantize(settled(Residual(), batch), Scheme(), batch)
    export(network, tmp_path / "graphs", 100 * batch)
    assert all(module.on_states is None for module in network.modules() if hasattr(module, "on_states"))


@settings(max_examples=25)
@given(networks(), schemes)
def test_drawn_networks_agree_in_every_engine(pair, scheme):
    agree(pair[0], scheme, pair[1])


@pytest.mark.slow
@settings(max_examples=250, derandomize=False)
@given(networks(), schemes)
def test_many_drawn_networks_agree_in_every_engine(pair, scheme):
    agree(pair[0], scheme, pair[1])


def test_tensors_have_the_names_of_the_users_modules():
    torch.manual_seed(0)
    batch = torch.randn(4, 12, 3)
    step = network_graph(network_spec(quantize(settled(Residual(), batch), Scheme(), batch)))
    ports = ports_of(step)
    assert list(ports.recurrences) == ["blocks.0.s4d", "blocks.1.s4d"]
    made = {name for node in step.graph.node for name in node.output}
    assert {"encoder", "blocks.0.activation_quant", "blocks.1.add_quant", "decoder"} <= made


def test_export_writes_all_graphs_or_none(tmp_path):
    torch.manual_seed(0)
    batch = torch.randn(4, 12, 3)
    network = settled(Residual(), batch)
    quantized = quantize(network, Scheme(), batch)
    exported = export(quantized, tmp_path / "graphs", batch)
    assert sorted(path.name for path in (tmp_path / "graphs").iterdir()) == sorted(FILES.values())
    assert all(found.codes and not found.differing for found in exported.agreements)
    with pytest.raises(ExportError, match="not quantised"):
        export(network, tmp_path / "none")
    assert not (tmp_path / "none").exists()
