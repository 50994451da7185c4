"""Executes the graph after every pass and compares it, code by code, with the step graph that went in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx

from ..dataflow.ports import ports_of
from ..dataflow.sequences import noise
from ..lowering.pipeline import pass_by_pass
from .agreement import Agreement, compare
from .engines import run_steps
from .graphs import coded

STEPS = 24


@dataclass(frozen=True)
class Proof:
    """One pass: its name, the graph after it and how many codes of it differ from the step graph's."""

    name: str
    model: onnx.ModelProto
    agreement: Agreement


def prove(step: onnx.ModelProto, codes: np.ndarray | None = None) -> Iterator[Proof]:
    """Lower ``step`` and compare after every pass, on ``codes`` ``(B, T)`` or ``(B, T, C)``, or on noise and the highest code.

    Compared are all ports and all quantised tensors that both graphs have, as values (code * 2**exponent).
    """
    if codes is None:
        codes = noise(ports_of(step).input, 2, STEPS)
    wanted = [node.output[0] for node in step.graph.node if node.output[0] in coded(step)]
    expected = run_steps(step, codes, wanted)
    for name, model in pass_by_pass(step):
        tensors = [tensor for tensor in wanted if tensor in coded(model)]
        yield Proof(name, model, compare(name, expected, run_steps(model, codes, tensors)))
