"""RTL: a sequence dataflow graph as SystemVerilog that gives every code, and its simulation.

    write_rtl(load_graph("sequence-dataflow.onnx", "sequence-dataflow"), Path("rtl"))
    RtlModel("rtl").forward(codes)

library/          the modules, a README of their handshake
affine.py         thresholds as one line a channel, solved exactly
timing.py         when beats leave a module: latencies and intervals
netlist.py, names.py, library.py   streams, instances, memories; identifiers; an instance of every module
build.py          operations to instances
multipliers.py    which are the device's
layers.py, serial.py   layers of one shape; one layer of instances for all of them
schedule.py       cycles foretold, and the queues that follow
verilog.py, packaging.py, manifest.py, project.py   what is written
evaluate.py       what a graph computes, operation by operation
simulator.py, harness.cpp, model.py                 Verilator, and the model that it runs
"""

from __future__ import annotations

from .model import RtlModel, run_rtl
from .project import write_rtl
from .serial import has_layers, serially_folded
from .simulator import INSTALL, available, require_tools

__all__ = ["INSTALL", "RtlModel", "available", "has_layers", "require_tools", "run_rtl", "serially_folded", "write_rtl"]
