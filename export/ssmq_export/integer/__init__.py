"""Whole-model integer inference: a dataflow graph compiled to tables and run by numba kernels, code for code.

pairs.py       which sums are the complex recurrence
program.py     stages (``dataflow.stages``) as arrays
kernels.py     the interpreter
model.py       IntegerModel
"""

from __future__ import annotations

from .model import IntegerModel

__all__ = ["IntegerModel"]
