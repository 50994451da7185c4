"""The real FINN compiler (finn-plus) on a dataflow graph, up to where Vivado begins.

    compile.py  run FINN's steps on a graph, and the folder that a user with Vivado carries on from
    execute.py  FINN's hardware operators in Python, as one more engine of verification
    diagonal_scan.py, diagonal_scan_rtl.py  the recurrence as FINN's hardware operator, and its back end
    scan_module.py  the Verilog of that, around the library's core
    infer_sequence.py, duplicate_inputs.py  passes that the worker adds to FINN's
    process.py  starts the worker and says in one message why it failed
    worker.py   the only module that imports FINN; it runs in a process of its own

Importing this needs no FINN.
"""

from __future__ import annotations

from .compile import Compiled, IllegalGraph, compile_graph
from .execute import run_hardware_ops
from .process import INSTALL, available

__all__ = ["INSTALL", "Compiled", "IllegalGraph", "available", "compile_graph", "run_hardware_ops"]
