"""QuantS4D: the S4D layer with a quantiser on every tensor, computed by recurrence.

    x_t = Q_x(Ā x_{t-1} + B̄ u_t)     one rounding a step, of the exact sum
    y_t = 2 Re(C x_t) + D u_t         exact, left to the quantiser that follows

Complex numbers are (re, im) pairs; both parts of the state go through the one state quantiser.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from .config import Scheme
from .parameterisations import PARAMETERISATIONS
from .quantizers import ParameterQuantizer, Quantizer
from .scan import diagonal_scan
from .scan.reference import reference_scan


class QuantS4D(nn.Module):
    """``(B, T, H)`` on the format of ``u`` to the exact, unrounded ``y`` ``(B, T, H)``.

    ``engine`` is ``"fused"`` (one kernel) or ``"reference"`` (Brevitas quantisers, op by op); both give the same codes.
    ``on_states``, if set, is called with the state codes re and im ``(B, T, H, N)`` of every forward pass; such a pass
    has no gradient.
    """

    def __init__(self, heads: int, modes: int, scheme: Scheme):
        super().__init__()
        self.heads, self.modes = heads, modes
        self.engine = "fused"
        self.on_states: Callable[[torch.Tensor, torch.Tensor], None] | None = None
        shared, bits = scheme.granularity == "tensor", scheme.bits
        self.a = PARAMETERISATIONS[scheme.parameterisation](heads, modes, scheme)
        # Equalised, B̄ is one power of two a mode: codes 1 and 0, a shift in hardware, and nothing to train.
        self.equalised = scheme.equalise
        self.b = nn.Parameter(torch.zeros(heads, modes, 2), requires_grad=not scheme.equalise)
        self.c = nn.Parameter(torch.zeros(heads, modes, 2))
        self.d = nn.Parameter(torch.zeros(heads))
        b_shape = (heads, modes, 1) if scheme.equalise else () if shared else (heads, 1, 1)
        self.b_quant = ParameterQuantizer(2 if scheme.equalise else bits.b, b_shape)
        self.c_quant = ParameterQuantizer(bits.c, () if shared else (heads, 1, 1))
        self.d_quant = ParameterQuantizer(bits.d, () if shared else (heads,))
        self.state = Quantizer(bits.x, True, () if shared else (heads, 1))

    def input_weight(self) -> torch.Tensor:
        """B̄ before rounding, ``(H, N, 2)``."""
        gain = None if self.equalised else self.a.input_gain()
        if gain is None:
            return self.b
        return torch.view_as_real(gain * torch.view_as_complex(self.b))

    def parameters_on_grid(self) -> dict[str, torch.Tensor]:
        """Ā, B̄, C ``(H, N)`` as re and im, and D ``(H)``, each on its grid."""
        a_re, a_im = self.a()
        b, c = self.b_quant(self.input_weight()), self.c_quant(self.c)
        return {
            "a_re": a_re,
            "a_im": a_im,
            "b_re": b[..., 0],
            "b_im": b[..., 1],
            "c_re": c[..., 0],
            "c_im": c[..., 1],
            "d": self.d_quant(self.d),
        }

    def forward(self, u: torch.Tensor) -> torch.Tensor:
        if self.on_states is not None:
            y, re, im = self.trace(u)
            self.on_states(re, im)
            return y
        parameters = self.parameters_on_grid()
        if self.engine == "reference":
            return reference_scan(u, **parameters, state_quant=self.state)
        return diagonal_scan(u, **parameters, state_scale=self.state.power.scale, state_bits=self.state.bits)

    def trace(self, u: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """y ``(B, T, H)`` and the states re, im ``(B, T, H, N)`` as codes, by the chosen engine."""
        parameters, scale = self.parameters_on_grid(), self.state.power.scale
        if self.engine == "reference":
            y, re, im = reference_scan(u, **parameters, state_quant=self.state, return_states=True)
            return y, (re / scale).to(torch.int32), (im / scale).to(torch.int32)
        return diagonal_scan(u, **parameters, state_scale=scale, state_bits=self.state.bits, return_codes=True)
