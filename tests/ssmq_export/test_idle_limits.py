"""A function's limits are written into the step graph where they change a code, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
from ssmq_export.dataflow.format import Format
from ssmq_export.graphs.network_graph import network_graph
from ssmq_export.graphs.network_spec import Call, Function, Given, NetworkSpec
from ssmq_export.lowering import lower
from ssmq_export.verification.engines import run_steps

RELU = Function("relu")
INPUT = Format(7, True, np.asarray(-5))  # -2 to 2 in steps of 1/32


def clip(low: float, high: float) -> Function:
    return Function("clip", (low, high))


def fmt(bits: int, signed: bool, *exponent: int) -> Format:
    return Format(bits, signed, np.asarray(exponent if len(exponent) > 1 else exponent[0]))


def graph(function: Function, *quantizers: Format):
    """Of two channels: the function, and each quantiser on its result; two of them are added."""
    calls = [Call("u", Given(INPUT), (), 2, True), Call("limited", function, ("u",), 2, True)]
    calls += [Call(f"q{k}", quantizer, ("limited",), 2, True) for k, quantizer in enumerate(quantizers)]
    result = "q0"
    if len(quantizers) == 2:
        calls.append(Call("joined", "add", ("q0", "q1"), 2, True))
        result = "joined"
    return network_graph(NetworkSpec((*calls, Call("output", "output", (result,), 2, True)), 4, False))


def operators(model) -> list[str]:
    return [node.op_type for node in model.graph.node if node.op_type in ("Relu", "Clip")]


@pytest.mark.parametrize(
    ("function", "quantizer", "written"),
    [
        (RELU, fmt(4, False, -4), []),
        (RELU, fmt(4, True, -4), ["Relu"]),
        (clip(0, 1), fmt(4, False, -4), []),
        (clip(-1, 31 / 32), fmt(4, False, -4), []),  # the tie of 15 and 16 goes to 16, and 15 is the last code
        (clip(0, 0.9), fmt(4, False, -4), ["Clip"]),
        (clip(0.04, 1), fmt(4, False, -4), ["Clip"]),
        (clip(-1, 1), fmt(4, True, -3), []),
        (clip(-0.9, 1), fmt(4, True, -3), ["Clip"]),
        (clip(0, 1), fmt(4, False, -4, -3), ["Clip"]),  # the second channel reaches 15/8
        (clip(-np.inf, np.inf), fmt(4, True, -3), []),
    ],
)
def test_limits_that_the_quantizer_keeps_to_anyway_are_no_node(function, quantizer, written):
    model = graph(function, quantizer)
    assert operators(model) == written
    codes = np.repeat(np.arange(INPUT.low, INPUT.high + 1, dtype=np.int32)[None, :, None], 2, axis=2)
    low, high = function.numbers or (0, np.inf)
    scale = np.ldexp(1.0, quantizer.exponent)
    expected = np.rint((codes / 32).clip(low, high) / scale).clip(quantizer.low, quantizer.high) * scale
    assert len(np.unique(expected)) > 7
    for form in (model, lower(model)):
        assert np.array_equal(run_steps(form, codes, ["q0"])["q0"], expected)


def test_limits_before_two_quantizers_are_written():
    """Neither of them speaks for the other."""
    assert operators(graph(RELU, fmt(4, False, -4), fmt(4, True, -4))) == ["Relu"]
