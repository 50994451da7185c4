"""Lowering: a QONNX step graph becomes an integer-only dataflow graph that computes the same codes.

    dataflow = lower(step)

Small passes, one file each, in this order; each file numbers its rewrite rules, may run twice, and keeps every code:

    clean.py       parameters lose their Quant; what changes nothing goes
    fold.py        norms, biases, activations and scales between a sum and its Quant become thresholds or a table
    align.py       values become codes; where two grids meet, the coarser side is shifted
    shifts.py      shifts go into the constants that feed them
    datatypes.py   every tensor gets the narrowest integer type that holds it
    layout.py      channels last, one order, one name a node

    collapse.py    the whole sequence with one DiagonalScan a layer, made of the result of all passes

    contract.py    what a pass promises: what it requires, what it ensures, whether it changed anything
    graph.py       the graph that a pass edits
    ranges.py      grid and range of every exact tensor
    formats.py     the formats that ranges give a step graph's metadata
    pipeline.py    runs the passes

Thresholds come before grids because they are found by searching the float function that the model evaluates, on the
values it evaluates it on.
"""

from __future__ import annotations

from .collapse import collapse
from .pipeline import PASSES, lower, pass_by_pass

__all__ = ["PASSES", "collapse", "lower", "pass_by_pass"]
