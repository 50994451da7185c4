"""Our own operator domain, ``ssmq_export.custom_op``, version 1: what no tool has yet.

qonnx finds the operators by importing the module that the domain names; nothing has to be registered. Specification:
``docs/diagonal-scan.md``.
"""

from __future__ import annotations

from .diagonal_scan import DiagonalScan

__all__ = ["DiagonalScan"]
