"""Executes the graph after every pass and compares it, code by code, with the step graph that went in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx

from ..dataflow.keys import FORMATS_KEY, property_of
from ..lower.pipeline import stages
from .agreement import Agreement, compare
from .engines import run_steps

STEPS = 24


@dataclass(frozen=True)
class Proof:
    """One pass: its name, the graph after it and how many codes of it differ from the step graph's."""

    name: str
    model: onnx.ModelProto
    agreement: Agreement


def prove(step: onnx.ModelProto, codes: np.ndarray | None = None) -> Iterator[Proof]:
    """Lower ``step`` and compare after every pass, on ``codes`` uint8 ``(B, T)`` or ``(B, T, C)``, or on noise and white.

    Compared are all ports and all quantised tensors that both graphs have, as values (code * 2**exponent).
    """
    if codes is None:
        channels = next(p for p in step.graph.input if p.name == "u").type.tensor_type.shape.dim[1].dim_value
        codes = np.random.default_rng(0).integers(0, 256, (2, STEPS, channels), dtype=np.uint8)
        codes[1] = 255
    values = codes.astype(np.float64) * 2.0**-8
    wanted = [node.output[0] for node in step.graph.node if node.output[0] in _coded(step)]
    expected = run_steps(step, values, wanted)
    for name, model in stages(step):
        tensors = [tensor for tensor in wanted if tensor in _coded(model)]
        yield Proof(name, model, compare(name, expected, run_steps(model, values, tensors)))


def _coded(model: onnx.ModelProto) -> set[str]:
    """Tensors of ``model`` that are coded and no constants."""
    graph = model.graph
    fixed = {tensor.name for tensor in graph.initializer}
    for node in graph.node:
        if all(name in fixed for name in node.input):
            fixed.update(node.output)
    computed = {name for node in graph.node for name in node.output}
    return (computed & json.loads(property_of(model, FORMATS_KEY)).keys()) - fixed - {"logits"}
