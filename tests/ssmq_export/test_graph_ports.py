"""The ports of a model's graph: codes of any format come in, logits of a sequence or of every step go out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from conftest import LENGTH, small_codes, small_config
from ssmq_brevitas.config import with_input
from ssmq_brevitas.input_format import InputFormat
from ssmq_brevitas.model import Model
from ssmq_brevitas.post_training import post_training
from ssmq_brevitas.task import Task
from ssmq_export.dataflow.ports import ports_of
from ssmq_export.from_network import step_graph, trace
from ssmq_export.integer import IntegerModel
from ssmq_export.lowering import lower
from ssmq_export.verification.agreement import compare
from ssmq_export.verification.engines import run_steps

# Bits, sign and exponent of the codes, and how many bits of them the scheme keeps.
FORMATS = [(16, True, -15, 16), (16, True, 3, 10), (12, False, -4, 12), (8, True, -7, 2), (5, False, 0, 8)]


@pytest.mark.parametrize(("bits", "signed", "exponent", "kept"), FORMATS)
def test_a_graph_says_which_codes_it_is_fed_and_computes_with_them(bits, signed, exponent, kept):
    given = InputFormat(bits=bits, signed=signed, exponent=exponent)
    config = with_input(small_config(bits={"input": kept}, model={"channels": 2, "layers": 1}), given)
    low, high = given.format.low, given.format.high
    codes = np.random.default_rng(0).integers(low, high + 1, (16, LENGTH, 2)).astype(np.int32)
    codes[0], codes[1] = low, high
    torch.manual_seed(0)
    model = post_training(Model.floating(config).eval(), config, torch.from_numpy(codes))
    step = step_graph(model.network)
    port = ports_of(step).input
    assert (port.format.bits, port.format.signed, np.ravel(port.format.exponent).tolist()) == (bits, signed, [exponent])
    reference, fused = (trace(model.network, codes, engine) for engine in ("reference", "fused"))
    assert compare("fused", reference, fused).differing == 0
    tensors = [name for name, value in reference.items() if value.ndim == 3]
    for graph in (step, lower(step)):
        found = compare("step", reference, run_steps(graph, codes[:, :2], tensors))
        assert found.codes and found.differing == 0


@pytest.mark.parametrize("task", [Task(kind="step"), Task(kind="regression", every_step=True)])
def test_the_outputs_of_every_step_leave_the_graph_at_every_step(task):
    """Nothing is pooled, and the integer engine, whole sequences or step by step, tells what the model tells."""
    config = small_config(model={"layers": 1}).model_copy(update={"task": task})
    torch.manual_seed(0)
    codes = small_codes()
    model = post_training(Model.floating(config).eval(), config, codes)
    step = step_graph(model.network)
    ports = ports_of(step)
    assert ports.output.each_step and [port.kind for port in ports.kept] == ["state", "state"]
    reference = trace(model.network, codes.numpy(), "reference")
    assert reference["decoder"].shape == (16, LENGTH, 3) and "mul_quant" not in reference
    graph = lower(step)
    assert compare("step", reference, run_steps(step, codes[:, :2].numpy(), ["blocks.0.add_quant"])).differing == 0
    engine = IntegerModel(graph)
    logits = engine.forward(codes.numpy())
    assert np.array_equal(engine.values(logits), reference["decoder"])
    assert all(np.array_equal(engine.step(codes[:, t].numpy()), logits[:, t]) for t in range(3))
