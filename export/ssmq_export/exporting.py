"""Write the graphs of a trained model; none is left behind that does not compute the model's codes."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from .errors import ExportError
from .graphs.sequence_graph import sequence_graph
from .integer import IntegerModel
from .lowering import collapse, lower
from .tables import text_table
from .verification.agreement import Agreement, compare
from .verification.engines import run_sequence, run_steps, run_whole
from .verification.proof import prove

FILES = {
    "step": "step.onnx",
    "sequence": "sequence.onnx",
    "dataflow": "dataflow.onnx",
    "sequence-dataflow": "sequence-dataflow.onnx",
}
# qonnx takes about a millisecond a node and step; ONNX Runtime and the integer model run whole sequences.
STEPS = 8


@dataclass(frozen=True)
class Exported:
    """The written graphs and how each compared with the model, in the order of ``FILES``; as text, a table.

    ``paths`` and the number of ``nodes`` by form: step, sequence, dataflow, sequence-dataflow.
    """

    paths: dict[str, Path]
    nodes: dict[str, int]
    agreements: list[Agreement]

    def __str__(self) -> str:
        rows = [
            (str(self.paths[form]), self.nodes[form], row.codes, row.differing)
            for form, row in zip(FILES, self.agreements, strict=True)
        ]
        return text_table(("graph", "nodes", "codes compared", "differing"), rows)


def export_graphs(graph: onnx.ModelProto, reference: dict[str, np.ndarray], codes: np.ndarray, folder: Path) -> Exported:
    """Write the step graph ``graph`` and those made from it into ``folder``, one a form of ``FILES``.

    ``reference`` is the model's trace on ``codes`` ``(B, T)`` or ``(B, T, C)``. Each graph is written to a temporary
    folder, read back, executed and compared; one differing code raises ExportError and ``folder`` stays as it was.
    """
    tensors = [name for name, value in reference.items() if value.ndim == 3]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ExportError(f"{folder}: cannot be created ({error.strerror}): give another folder") from error
    with tempfile.TemporaryDirectory(dir=folder, prefix=".export-") as scratch:

        def written(form: str, model: onnx.ModelProto) -> onnx.ModelProto:
            onnx.checker.check_model(model, full_check=True)
            onnx.save(model, Path(scratch) / FILES[form])
            return onnx.load(Path(scratch) / FILES[form])

        def since() -> str:
            return f" (after the pass {_culprit(step, codes)})"

        # Of the first steps only tensors of a step can be compared; without any the output is, which is of the end.
        some = codes[:, :STEPS] if tensors else codes
        step = written("step", graph)
        sequence = written("sequence", sequence_graph(step))
        traced = sequence_graph(step, tuple(tensors))
        dataflow = written("dataflow", lower(step))
        agreements = [
            _agree("step", reference, run_steps(step, some, tensors)),
            _agree("sequence", reference, run_sequence(sequence, codes))
            + _agree("sequence", reference, run_sequence(traced, codes)),
            _agree("dataflow", reference, run_steps(dataflow, some, tensors), since)
            + _agree("dataflow", reference, IntegerModel(dataflow).trace(codes, tensors), since),
        ]
        # Collapsing reads a recurrence out of the dataflow graph, so that graph has to be right first.
        whole = written("sequence-dataflow", collapse(dataflow))
        agreements.append(_agree("sequence-dataflow", reference, run_whole(whole, codes, tensors)))
        for name in FILES.values():
            (Path(scratch) / name).replace(folder / name)
    nodes = {form: _count(model.graph) for form, model in zip(FILES, (step, sequence, dataflow, whole), strict=True)}
    return Exported({form: folder / name for form, name in FILES.items()}, nodes, agreements)


def _agree(
    form: str,
    reference: dict[str, np.ndarray],
    result: dict[str, np.ndarray],
    since: Callable[[], str] = lambda: "",
) -> Agreement:
    found = compare(f"{form} graph", reference, result)
    if found.differing:
        raise ExportError(
            f"the {form} graph{since()} differs from the model in {found.differing} of {found.codes} codes, first in "
            f"{found.first}: nothing was exported; please report the scheme"
        )
    return found


def _culprit(step: onnx.ModelProto, codes: np.ndarray) -> str:
    """The first pass of the lowering after which a code differs."""
    return next((proof.name for proof in prove(step, codes[:2, : 3 * STEPS]) if proof.agreement.differing), "none")


def _count(graph: onnx.GraphProto) -> int:
    inner = [a.g for node in graph.node for a in node.attribute if a.type == onnx.AttributeProto.GRAPH]
    return len(graph.node) + sum(_count(g) for g in inner)
