"""The input of a graph: codes of any format, which its metadata say to whoever feeds it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from conftest import LENGTH, small_config
from ssmq_brevitas.config import with_input
from ssmq_brevitas.input_format import InputFormat
from ssmq_brevitas.model import Classifier
from ssmq_brevitas.quantize import post_training
from ssmq_export.dataflow.ports import ports_of
from ssmq_export.from_model import describe, trace
from ssmq_export.graphs.step_graph import step_graph
from ssmq_export.lower import lower
from ssmq_export.verify.agreement import compare
from ssmq_export.verify.engines import run_steps

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
    model = post_training(Classifier(config.model).eval(), config, torch.from_numpy(codes))
    step = step_graph(describe(model))
    port = ports_of(step).input
    assert (port.format.bits, port.format.signed, np.ravel(port.format.exponent).tolist()) == (bits, signed, [exponent])
    reference, fused = (trace(model, codes, engine) for engine in ("reference", "fused"))
    assert compare("fused", reference, fused).differing == 0
    tensors = [name for name, value in reference.items() if value.ndim == 3]
    for graph in (step, lower(step)):
        found = compare("step", reference, run_steps(graph, codes[:, :2], tensors))
        assert found.codes and found.differing == 0
