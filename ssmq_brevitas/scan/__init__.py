"""The quantised diagonal recurrence: its definition (``reference``) and the fused kernels that equal it on every code."""

from __future__ import annotations

from typing import Literal, overload

import torch
from torch import Tensor

from .function import FusedScan, traced_scan

__all__ = ["diagonal_scan"]


@overload
def diagonal_scan(
    u: Tensor, a_re: Tensor, a_im: Tensor, b_re: Tensor, b_im: Tensor, c_re: Tensor, c_im: Tensor, d: Tensor,
    state_scale: Tensor, state_bits: int, return_codes: Literal[False] = False,
) -> Tensor: ...  # fmt: skip
@overload
def diagonal_scan(
    u: Tensor, a_re: Tensor, a_im: Tensor, b_re: Tensor, b_im: Tensor, c_re: Tensor, c_im: Tensor, d: Tensor,
    state_scale: Tensor, state_bits: int, return_codes: Literal[True],
) -> tuple[Tensor, Tensor, Tensor]: ...  # fmt: skip
def diagonal_scan(
    u: Tensor,
    a_re: Tensor,
    a_im: Tensor,
    b_re: Tensor,
    b_im: Tensor,
    c_re: Tensor,
    c_im: Tensor,
    d: Tensor,
    state_scale: Tensor,
    state_bits: int,
    return_codes: bool = False,
) -> Tensor | tuple[Tensor, Tensor, Tensor]:
    """Fused ``reference_scan`` with a state quantiser of ``state_bits`` bits and scale ``state_scale``.

    ``u`` ``(B, T, H)``, parameters ``(H, N)``, ``d`` ``(H,)``, all on power-of-two grids whose sums are exact in their
    dtype (float32 or float64); ``state_scale`` powers of two that broadcast to ``(H, N)``. Returns ``y`` ``(B, T, H)``;
    with ``return_codes`` also the state codes re and im ``(B, T, H, N)``, without gradient.
    """
    parameters = (a_re, a_im, b_re, b_im, c_re, c_im, d)
    if return_codes:
        return traced_scan(u, parameters, state_scale, state_bits)
    given: tuple[Tensor, ...] = (u, *parameters)
    if not torch.is_grad_enabled():
        # Else the parameters' requires_grad would have the states kept for a backward pass that never comes.
        given = tuple(value.detach() for value in given)
    return FusedScan.apply(*given, state_scale, state_bits)
