"""The real FINN compiler (finn-plus) on a dataflow graph, up to where Vivado begins.

    compile.py  run FINN's steps on a graph, and the folder that a user with Vivado carries on from
    execute.py  FINN's hardware operators in Python, as one more engine of verification
    diagonal_scan.py, duplicate_inputs.py  what the worker adds to FINN
    process.py  starts the worker and says in one message why it failed
    worker.py   the only module that imports FINN; it runs in a process of its own

Importing this needs no FINN.
"""

from __future__ import annotations

from .compile import Compiled, IllegalGraph, compile_graph
from .execute import run_hardware_ops
from .process import INSTALL, available

__all__ = ["INSTALL", "Compiled", "IllegalGraph", "available", "compile_graph", "run_hardware_ops"]
