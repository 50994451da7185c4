"""Legality: may this graph become a FINN-style dataflow accelerator, and if not, what stands in the way?

    findings = check_file("dataflow.onnx")      # or check_model(model)

A graph is judged in one of two forms. With Quant nodes it is a QONNX graph: its quantisers and structure are judged and
one finding says that it must be lowered. Without, it must be integer all through.
"""

from __future__ import annotations

from pathlib import Path

import onnx

from ..dataflow.text import undecodable_field
from ..errors import ExportError
from .catalogue import RULES, Rule
from .finding import Finding
from .rules import datatypes, folding, grids, operators, quantizers, scans, streams, structure, thresholds  # noqa: F401  (their rules register)  # noqa: F401
from .tidy_view import TidyView

__all__ = ["RULES", "Finding", "Rule", "check_file", "check_model"]


def check_model(model: onnx.ModelProto) -> list[Finding]:
    """Judge a model by every rule, in the catalogue's order. Raises ExportError if its names are not text."""
    field = undecodable_field(model)
    if field is not None:
        raise ExportError(f"the model holds text that is not UTF-8 ({field}); export it again")
    view = TidyView(model)
    return [finding for rule in RULES for finding in rule.findings(view)]


def check_file(path: Path | str) -> list[Finding]:
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
