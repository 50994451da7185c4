"""Lowering: a QONNX step graph becomes an integer-only dataflow graph that computes the same codes.

1. A weight Quant becomes an integer initialiser.
2. MatMul, Mul, Add and Sub of tensors on power-of-two grids become the same operators on codes; where the grids of a
   join differ, the coarser side is multiplied by a power of two, inside the constant that feeds it where there is one.
3. Everything between such a sum and the Quant that ends it (bias, batch norm, ReLU, gate) becomes one MultiThreshold
   with exact integer thresholds; a function that is not monotone becomes the difference of two.
4. A Quant that changes nothing disappears.
"""

from __future__ import annotations

from .dataflow import lower

__all__ = ["lower"]
