"""Do engines agree? Every tensor that is quantised is compared, element by element, for equality."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
import onnx

from . import engines
from .sequence_graph import sequence_graph

Trace = dict[str, np.ndarray]


@dataclass(frozen=True)
class Agreement:
    """One engine against the reference: how much was compared and what differed first (tensor and step)."""

    engine: str
    sequences: int
    codes: int
    differing: int
    first: str = ""

    def as_dict(self) -> dict:
        """``{"engine", "sequences", "codes", "differing", "first"}``"""
        return asdict(self)


def compare(engine: str, reference: Trace, other: Trace) -> Agreement:
    """Compare two traces, tensors ``(B, T, channels)`` and logits ``(B, classes)``, over the steps both have.

    Logits are compared when ``other`` went through the whole sequence.
    """
    complete = steps(other) in (None, steps(reference))
    codes = differing = 0
    first = ""
    sequences = 0
    for name, values in other.items():
        expected = reference[name]
        if values.ndim == 2 and not complete:
            continue
        if values.ndim == 3:
            expected = expected[:, : values.shape[1]]
        unequal = expected != values
        codes, sequences = codes + unequal.size, len(values)
        count = int(np.count_nonzero(unequal))
        if count and not first:
            place = np.argwhere(unequal)[np.argsort(np.argwhere(unequal)[:, 1], kind="stable")[0]]
            first = f"{name}, sequence {place[0]}" + (f", step {place[1]}" if values.ndim == 3 else "")
        differing += count
    return Agreement(engine, sequences, codes, differing, first)


def steps(trace: Trace) -> int | None:
    """Number of steps of a trace, None if it has only logits."""
    return next((value.shape[1] for value in trace.values() if value.ndim == 3), None)


def graph_engines(step: onnx.ModelProto, dataflow: onnx.ModelProto) -> dict[str, Callable[..., Trace]]:
    """The engines that run exported graphs: name -> function of (values ``(B, T)``, tensors to trace)."""
    return {
        "qonnx step": lambda values, tensors: engines.run_steps(step, values, tensors),
        "ONNX Runtime Scan": lambda values, tensors: engines.run_sequence(sequence_graph(step, tuple(tensors)), values),
        "dataflow graph": lambda values, tensors: engines.run_steps(dataflow, values, tensors),
        "integer model": lambda values, tensors: engines.run_integers(dataflow, values, tensors),
    }
