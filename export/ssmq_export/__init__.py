"""Graphs of a quantised network, their lowering to integers, their legality, their cost, and whether all of it agrees.

    from ssmq_export import check, estimate, export, verify

    export(quantized, "graphs", batch)          # step, sequence, dataflow and sequence-dataflow .onnx
    print(verify(quantized, "graphs", batch))   # every engine, every code
    print(check("graphs/dataflow.onnx"), estimate("graphs/dataflow.onnx", "xc7z020clg400-1", fps=1000))

Names are loaded when they are first used: importing the package does no work.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING

# ONNX Runtime, which qonnx and FINN import too, reads this once when it is loaded: it would keep an identifier of the device
# in the user's cache and look up a host to report to.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

if TYPE_CHECKING:
    from .checks import check as check
    from .errors import ExportError as ExportError
    from .estimates import estimate as estimate
    from .from_network import export as export
    from .integer import IntegerModel as IntegerModel
    from .lowering import lower as lower
    from .verdict import verify as verify

_PLACES = {
    "export": "from_network",
    "check": "checks",
    "lower": "lowering",
    "verify": "verdict",
    "estimate": "estimates",
    "IntegerModel": "integer",
    "ExportError": "errors",
}
__all__ = [*_PLACES]


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_PLACES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
