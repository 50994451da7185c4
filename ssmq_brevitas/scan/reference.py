"""The recurrence, op by op: the definition every other engine must equal.

s_t = Ā x_{t-1} + B̄ u_t        exact
x_t = Q_x(s_t)                  re and im through the same quantiser
y_t = 2 Re(C x_t) + D u_t       exact
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple, overload

import torch
from torch import Tensor


class Parameters(NamedTuple):
    """Ā, B̄ and C ``(H, N)`` as re and im, D ``(H,)``, each on its grid."""

    a_re: Tensor
    a_im: Tensor
    b_re: Tensor
    b_im: Tensor
    c_re: Tensor
    c_im: Tensor
    d: Tensor


@overload
def reference_scan(
    u: Tensor, a_re: Tensor, a_im: Tensor, b_re: Tensor, b_im: Tensor, c_re: Tensor, c_im: Tensor, d: Tensor,
    state_quant: Callable[[Tensor], Tensor], return_states: Literal[False] = False, start: tuple[Tensor, Tensor] | None = None,
) -> Tensor: ...  # fmt: skip
@overload
def reference_scan(
    u: Tensor, a_re: Tensor, a_im: Tensor, b_re: Tensor, b_im: Tensor, c_re: Tensor, c_im: Tensor, d: Tensor,
    state_quant: Callable[[Tensor], Tensor], return_states: Literal[True], start: tuple[Tensor, Tensor] | None = None,
) -> tuple[Tensor, Tensor, Tensor]: ...  # fmt: skip
def reference_scan(
    u: Tensor,
    a_re: Tensor,
    a_im: Tensor,
    b_re: Tensor,
    b_im: Tensor,
    c_re: Tensor,
    c_im: Tensor,
    d: Tensor,
    state_quant: Callable[[Tensor], Tensor],
    return_states: bool = False,
    start: tuple[Tensor, Tensor] | None = None,
) -> Tensor | tuple[Tensor, Tensor, Tensor]:
    """Run ``u`` ``(B, T, H)`` through the recurrence with parameters ``(H, N)``, ``d`` ``(H,)``; x_0 is ``start``, re and im
    ``(B, H, N)``, or 0.

    ``state_quant`` maps ``(B, H, N)`` onto the state's grid. Returns ``y`` ``(B, T, H)``, with ``return_states`` also
    the states re and im ``(B, T, H, N)``.
    """
    zero = u.new_zeros(u.shape[0], *a_re.shape)
    x_re, x_im = (zero, zero) if start is None else start
    outputs, states_re, states_im = [], [], []
    for u_t in u.unbind(dim=1):
        drive = u_t[..., None]  # (B H 1)
        s_re = a_re * x_re - a_im * x_im + b_re * drive
        s_im = a_re * x_im + a_im * x_re + b_im * drive
        x_re, x_im = state_quant(s_re), state_quant(s_im)
        outputs.append(2 * (c_re * x_re - c_im * x_im).sum(dim=-1) + d * u_t)
        if return_states:
            states_re.append(x_re)
            states_im.append(x_im)
    y = torch.stack(outputs, dim=1)
    if return_states:
        return y, torch.stack(states_re, dim=1), torch.stack(states_im, dim=1)
    return y
