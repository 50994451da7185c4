"""Fitting: a float layer's parameters and the exponents that suit them, their input and their states."""

from __future__ import annotations

import numpy as np
import torch

from .calibration import StateStatistics
from .config import Scheme
from .formats import Format, covering_exponent, fit_exponent
from .quant_linear import OnGrids
from .quant_s4d import QuantS4D
from .quantizers import fit_scale
from .s4d import S4D

# One power of two a mode for B̄ is stored as what it lacks to the layer's largest.
MODE_EXPONENT_BITS = 4
# A product B̄u finer than this many bits below the state's last place cannot matter, but would widen the accumulator.
INPUT_GUARD_BITS = 4


def fit_linear(layer: OnGrids, weight: torch.Tensor, bias: torch.Tensor | None, feeding: Format) -> None:
    """Give ``layer``, fed by codes of a format, a weight ``(out, in)`` and a bias, and choose their exponents."""
    layer.weight.data = weight
    exponent = fit_exponent(weight.numpy().reshape(1, -1), layer.weight_bits, True)[0]
    layer.weight_power.set_exponent(exponent)
    if bias is None:
        return
    assert layer.bias is not None and layer.bias_bits is not None
    layer.bias.data = bias
    # On the accumulator's own grid, unless the bias needs the range.
    own = exponent + feeding.exponent
    covering = covering_exponent(bias.abs().max().numpy(), layer.bias_bits, True)
    layer.bias_power.set_exponent(max(own, covering) if bias.any() else own)


def fit_layer(ssm: QuantS4D, source: S4D, scheme: Scheme, u: Format, states: StateStatistics) -> None:
    """Give ``ssm`` the parameters of a float layer and the exponents that suit them, its input and its states."""
    ssm.a.fit(source)
    _, b, c = (value.detach() for value in source.discrete())
    ssm.d.data = source.d.detach().clone()
    if scheme.equalise:
        c = c * _equalise(ssm, b, scheme, u, states)
    else:
        gain = ssm.a.input_gain()
        ssm.b.data = torch.view_as_real(b if gain is None else b / gain).clone()
        fit_scale(ssm.state.power, states.samples, ssm.state.bits, scheme.activation_range)
    ssm.c.data = torch.view_as_real(c).clone()
    fit_readout(ssm, u)
    if not scheme.equalise:
        finest_b, _ = finest_exponents(ssm, u)
        fit_scale(ssm.b_quant.power, ssm.input_weight().numpy(), ssm.b_quant.bits, "mse", finest_b)


def fit_readout(ssm: QuantS4D, u: Format) -> None:
    """Choose the exponents of C and D for the values that they have."""
    fit_scale(ssm.c_quant.power, ssm.c.numpy(), ssm.c_quant.bits, "mse")
    _, finest_d = finest_exponents(ssm, u)
    fit_scale(ssm.d_quant.power, ssm.d.numpy(), ssm.d_quant.bits, "mse", finest_d)


def _equalise(ssm: QuantS4D, b: torch.Tensor, scheme: Scheme, u: Format, states: StateStatistics) -> torch.Tensor:
    """Choose the basis of every mode, x / β, B̄ / β, C β, and the state's format; return β, complex ``(H, N)``.

    β is such that the states of the layer peak in (1/2, 1] and that B̄ / β is a power of two.
    """
    # A state that never moved has no range and sets nobody else's; the least exponent keeps it small if it moves yet.
    # One without an input (its B̄ has rounded to 0) is read by no C: its β is 0.
    gain = b.abs().numpy()
    moved = (states.largest > 0) & (gain > 0)
    exponent = np.floor(np.log2(np.where(gain > 0, gain, 1) / np.where(moved, states.largest, 1))).astype(np.int64)
    exponent = np.where(moved, exponent, exponent.min(where=moved, initial=exponent.max()))
    exponent = np.maximum(exponent, exponent.max() - (2**MODE_EXPONENT_BITS - 1))
    for _ in range(2):  # the state's format says which exponents are of use, and they move the states
        beta = b / torch.from_numpy(np.exp2(exponent))
        parts = torch.view_as_complex(torch.from_numpy(states.samples).unflatten(2, (-1, 2)).contiguous())
        parts = torch.where(beta[..., None] == 0, 0, parts / torch.where(beta == 0, 1, beta)[..., None])
        fit_scale(ssm.state.power, torch.view_as_real(parts).flatten(2).numpy(), ssm.state.bits, scheme.activation_range)
        exponent = np.maximum(exponent, finest_exponents(ssm, u)[0][..., 0])
    ssm.b_quant.power.set_exponent(exponent[..., None])
    ssm.b.data = torch.from_numpy(np.stack([np.exp2(exponent), np.zeros(exponent.shape)], axis=-1)).float()
    return beta.to(torch.complex64)


def finest_exponents(ssm: QuantS4D, u: Format) -> tuple[np.ndarray, np.ndarray]:
    """The least exponents of B̄ ``(H, N, 1)`` and D that the state, C and the input leave a use for."""
    x_exponent = np.broadcast_to(ssm.state.format.exponent, (ssm.heads, ssm.modes))[..., None]
    finest_b = x_exponent - (u.exponent + u.bits - 1) - INPUT_GUARD_BITS
    return finest_b, ssm.c_quant.format.exponent.ravel() + ssm.state.format.exponent.ravel() - u.exponent
