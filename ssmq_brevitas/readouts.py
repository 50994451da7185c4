"""Post-training reconstruction: C, D and the decoder fitted anew to what the rounded states still tell.

Rounding leaves slow modes with errors that stay for many steps, and the same input gives the same errors. A least-squares
fit of a layer's output over calibration sequences leans on the modes that kept their signal, and one of the logits takes
up what is left. Nothing is trained: one linear system a head and one for the decoder, in closed form, layer by layer, so
that a layer also makes up for those before it. The objective is that of Nagel et al., "Up or down? Adaptive rounding for
post-training quantization", ICML 2020, section 3, for linear read-outs.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch

from .fitting import fit_linear
from .formats import Format
from .quant_linear import OnGrids
from .quant_s4d import QuantS4D

BATCH = 8
# Of the mean power of the regressors: a weight moves only where they tell it to.
RIDGE = 1e-4


def fit_states(ssm: QuantS4D, pairs: Iterable[tuple[torch.Tensor, torch.Tensor]]) -> None:
    """Fit C and D of ``ssm`` to ``pairs`` of what it reads and what it is to give, each ``(B, T, H)``."""
    modes, size = ssm.modes, 2 * ssm.modes + 1
    gram = torch.zeros(ssm.heads, size, size, dtype=torch.float64)
    moment = torch.zeros(ssm.heads, size, dtype=torch.float64)
    for u, target in pairs:
        told = _regressors(ssm, u)
        gram += torch.einsum("hsi,hsj->hij", told, told).double()
        moment += torch.einsum("hsi,hs->hi", told, target.flatten(0, 1).T.to(told.dtype)).double()
    before = torch.cat([ssm.c[..., 0], -ssm.c[..., 1], ssm.d[:, None]], dim=1).double()
    found = _ridge(gram, moment[..., None], before[..., None])[..., 0].to(ssm.c.dtype)
    ssm.c.data = torch.stack([found[:, :modes], -found[:, modes:-1]], dim=-1).contiguous()
    ssm.d.data = found[:, -1].contiguous()


def fit_rows(layer: OnGrids, told: torch.Tensor, wanted: torch.Tensor, feeding: Format) -> None:
    """Fit weight and bias of ``layer`` to rows of what it reads and what it is to give, float64; ``feeding`` is its format."""
    before = layer.weight.flatten(1).double()
    if layer.bias is not None:
        told = torch.cat([told, torch.ones(len(told), 1, dtype=told.dtype)], dim=1)
        before = torch.cat([before, layer.bias[:, None].double()], dim=1)
    found = _ridge(told.T @ told, told.T @ wanted, before.T).T.to(layer.weight.dtype)
    weight = (found if layer.bias is None else found[:, :-1]).reshape(layer.weight.shape).contiguous()
    fit_linear(layer, weight, None if layer.bias is None else found[:, -1].contiguous(), feeding)


def _ridge(gram: torch.Tensor, moment: torch.Tensor, before: torch.Tensor) -> torch.Tensor:
    """Least squares ``(..., size, outputs)`` that stays near ``before``, and at it where the regressors are all 0."""
    eye = torch.eye(gram.shape[-1], dtype=gram.dtype)
    strength = RIDGE * gram.diagonal(dim1=-2, dim2=-1).mean(-1)[..., None, None].clamp(min=1e-9)
    return before + torch.linalg.solve(gram + strength * eye, moment - gram @ before)


def seen(layer: torch.nn.Module, model: torch.nn.Module, given: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Input and output of ``layer`` when ``model`` reads ``given``; of several calls the first."""
    kept: list[tuple[torch.Tensor, torch.Tensor]] = []
    hook = layer.register_forward_hook(lambda _, inputs, output: kept.append((inputs[0], output)))
    try:
        model(given)
    finally:
        hook.remove()
    return kept[0]


def _regressors(ssm: QuantS4D, u: torch.Tensor) -> torch.Tensor:
    """2 re and 2 im of every state, and u: ``(H, B T, 2 N + 1)``."""
    _, re, im = ssm.trace(u)
    scale = ssm.state.scale
    states = [2 * (part * scale[..., None] if scale.dim() == 1 else part * scale) for part in (re, im)]
    told = [part.flatten(0, 1).transpose(0, 1) for part in states]
    return torch.cat([*told, u.flatten(0, 1).T[..., None]], dim=2).float()
