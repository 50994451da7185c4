"""Legality: may this graph become a FINN-style dataflow accelerator, and if not, what stands in the way?

    findings = check("dataflow.onnx")      # or a model in memory

A graph is judged in one of two forms. With Quant nodes it is a QONNX graph: its quantisers and structure are judged and
one finding says that it must be lowered. Without, it must be integer all through.
"""

from __future__ import annotations

from pathlib import Path

import onnx

from ..dataflow.text import undecodable_field
from ..errors import ExportError
from .catalogue import RULES, Rule
from .finding import Finding, Findings
from .rules import datatypes, folding, grids, operators, quantizers, scans, streams, structure, thresholds  # noqa: F401  (their rules register)  # noqa: F401
from .tidy_view import TidyView

__all__ = ["RULES", "Finding", "Findings", "Rule", "check", "check_file", "check_model"]


def check(graph: onnx.ModelProto | Path | str) -> Findings:
    """Judge a graph, any ONNX or QONNX model or the file that it is in: ``legal``, and why not.

    Every finding says which rule, where (node, tensor), what is wrong and how to fix it; `docs/rules.md` lists the rules.
    A QONNX graph is judged as far as its quantisers and structure go, and told to be lowered first.

    Raises ExportError for a file that is missing or no ONNX model. Files that it names are never opened.

    >>> from onnx import TensorProto, helper
    >>> from ssmq_export import check
    >>> x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in "xy")
    >>> norm = helper.make_node("LayerNormalization", ["x", "gain"], ["y"], name="norm")
    >>> gain = helper.make_tensor("gain", TensorProto.FLOAT, [4], [1.0] * 4)
    >>> findings = check(helper.make_model(helper.make_graph([norm], "g", [x], [y], [gain])))
    >>> findings.legal, findings[0].rule, findings[0].node
    (False, 'hardware-op', 'norm')
    """
    return check_model(graph) if isinstance(graph, onnx.ModelProto) else check_file(graph)


def check_model(model: onnx.ModelProto) -> Findings:
    """Judge a model by every rule, in the catalogue's order. Raises ExportError if its names are not text."""
    field = undecodable_field(model)
    if field is not None:
        raise ExportError(f"the model holds text that is not UTF-8 ({field}); export it again")
    view = TidyView(model)
    return Findings(finding for rule in RULES for finding in rule.findings(view))


def check_file(path: Path | str) -> Findings:
    """Judge a file. External data is never read. Raises ExportError if the file is not an ONNX model."""
    path = Path(path)
    if not path.is_file():
        raise ExportError(f"{path}: no such file; give the path of an .onnx file")
    if path.stat().st_size == 0:
        raise ExportError(f"{path}: the file is empty; export it again")
    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:
        kind = type(error).__name__
        raise ExportError(f"{path}: not an ONNX file, or a truncated one ({kind}); export it again") from error
    if not model.HasField("graph") or not (model.ir_version or model.graph.node):
        raise ExportError(f"{path}: holds no ONNX graph; export it again")
    try:
        return check_model(model)
    except ExportError as error:
        raise ExportError(f"{path}: {error}") from error
