"""Whole-model integer inference: a dataflow graph compiled to tables and run by numba kernels, code for code.

    graph.py       the ONNX file as plain integers
    forms.py       chains of linear nodes as one sparse sum
    thresholds.py  MultiThreshold rows as shifts, multiplications or small tables
    stages.py      what is stored and what makes it
    pairs.py       which sums are the complex recurrence
    program.py     stages as arrays
    kernels.py     the interpreter
    model.py       IntegerModel
"""

from __future__ import annotations

from .model import IntegerModel

__all__ = ["IntegerModel"]
