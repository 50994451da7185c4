"""QuantS4D: the S4D layer with a quantiser on every tensor, computed by recurrence.

    x_t = Q_x(Ā x_{t-1} + B̄ u_t)     one rounding a step, of the exact sum
    y_t = 2 Re(C x_t) + D u_t         exact, left to the quantiser that follows

Complex numbers are (re, im) pairs; both parts of the state go through the one state quantiser.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from brevitas.inject import ExtendedInjector
from brevitas.nn.mixin.utils import filter_kwargs
from brevitas.quant_tensor import QuantTensor
from torch import nn

from .calibration import state_statistics
from .config import Bits, ParameterisationName, Scheme
from .contract import (
    bit_width,
    built_by_brevitas,
    exact_values,
    refuse_inexact,
    refuse_moving_scale,
    refuse_no_class,
    refuse_width,
)
from .errors import SsmqError
from .parameterisations import PARAMETERISATIONS
from .quantizers import ParameterQuantizer, PowerOfTwoAct, PowerOfTwoScale, PowerOfTwoWeight, Quantizer, fit_scale
from .s4d import S4D, refuse_shape
from .scan import diagonal_scan
from .scan.reference import Parameters, reference_scan

WEIGHTS = ("a", "b", "c", "d")
TENSORS = (*WEIGHTS, "state", "output")
# Sequences of the first batch that show the range of the states.
SEEN = 8


class QuantS4D(nn.Module):
    """``u`` ``(B, T, H)`` on a power-of-two grid to the exact, unrounded ``y`` ``(B, T, H)``, or to ``output_quant`` of it.

    A layer of Brevitas: ``a_quant``, ``b_quant``, ``c_quant``, ``d_quant`` (weight quantisers of Ā, B̄, C and D),
    ``state_quant`` and ``output_quant`` (activation quantisers) are Brevitas classes, or None: 8 bits with a power-of-two
    scale a tensor, and no ``output_quant``. Keywords that begin with a tensor's name override its quantiser, as in
    Brevitas: ``c_bit_width=4``, ``output_signed=False``. A range that nobody gave the state is that of the first batch in
    training mode. ``return_quant_tensor`` needs an ``output_quant``. ``parameterisation`` is how Ā is stored and trained, see
    ``parameterisations``; the polar ones have codes of ``a_magnitude_bit_width`` and ``a_phase_bit_width`` bits.

    ``engine`` is ``"fused"`` (one kernel) or ``"reference"`` (Brevitas quantisers, op by op); both give the same codes, if
    all sums are exact: those of float32 are to 24 bits, beyond that the layer must be ``double()``.
    ``on_states``, if set, is called with the state codes re and im ``(B, T, H, N)`` of every forward pass; such a pass
    has no gradient.

    Raises SsmqError for quantisers that are not integer with a power-of-two scale, rounded half to even, without a zero
    point, over the whole range.

    >>> import torch
    >>> from brevitas.nn import QuantIdentity
    >>> from brevitas.quant import Int8ActPerTensorFixedPoint
    >>> from ssmq_brevitas.quant_s4d import QuantS4D
    >>> sensor = QuantIdentity(act_quant=Int8ActPerTensorFixedPoint)
    >>> layer = QuantS4D(heads=4, modes=8, c_bit_width=6, output_quant=Int8ActPerTensorFixedPoint)
    >>> layer(sensor(torch.randn(16, 50, 4))).shape
    torch.Size([16, 50, 4])
    >>> layer, sensor = layer.eval(), sensor.eval()
    >>> u = sensor(torch.randn(2, 50, 4))
    >>> state = layer.initial_state(batch=2)
    >>> for t in range(50):
    ...     y_t, state = layer.step(u[:, t], state)
    >>> torch.equal(y_t, layer(u)[:, -1])
    True
    """

    output_quant: Quantizer | None

    def __init__(
        self,
        heads: int,
        modes: int = 32,
        *,
        a_quant: type[ExtendedInjector] | None = None,
        b_quant: type[ExtendedInjector] | None = None,
        c_quant: type[ExtendedInjector] | None = None,
        d_quant: type[ExtendedInjector] | None = None,
        state_quant: type[ExtendedInjector] | None = None,
        output_quant: type[ExtendedInjector] | None = None,
        return_quant_tensor: bool = False,
        parameterisation: ParameterisationName = "discrete",
        a_magnitude_bit_width: int = 4,
        a_phase_bit_width: int = 8,
        dt_min: float = 1e-3,
        dt_max: float = 1e-1,
        **options,
    ):
        super().__init__()
        if parameterisation not in PARAMETERISATIONS:
            raise SsmqError(f"parameterisation must be one of {', '.join(PARAMETERISATIONS)}, not {parameterisation!r}")
        if return_quant_tensor and output_quant is None:
            raise SsmqError("return_quant_tensor needs an output_quant: y itself is exact and has no format")
        given = dict(zip(TENSORS, (a_quant, b_quant, c_quant, d_quant, state_quant, output_quant), strict=True))
        quants = _injectors(given, options)
        bits = {tensor: bit_width(f"QuantS4D's {tensor}_quant", quant) for tensor, quant in quants.items()}
        # One bit is enough for a magnitude, which is never 0.
        for tensor, width in (("a_magnitude", a_magnitude_bit_width + 1), ("a_phase", a_phase_bit_width)):
            refuse_width(f"QuantS4D's {tensor}", width)
        widths = Bits(
            **{tensor: bits[tensor] for tensor in WEIGHTS},
            x=bits["state"],
            a_magnitude=a_magnitude_bit_width,
            a_phase=a_phase_bit_width,
        )
        self._build(heads, modes, Scheme(parameterisation=parameterisation, equalise=False, bits=widths))
        self._adopt(S4D(heads, modes, dt_min, dt_max))
        self._quantize_parameters(quants, bits)
        self._quantize_state(quants["state"], bits["state"])
        if output_quant is not None:
            with built_by_brevitas("QuantS4D's output_quant"):
                self.output_quant = Quantizer(
                    bits["output"], act_quant=quants["output"], return_quant_tensor=return_quant_tensor
                )
            refuse_inexact("QuantS4D's output_quant", self.output_quant)

    @classmethod
    def from_scheme(cls, heads: int, modes: int, scheme: Scheme) -> QuantS4D:
        """A layer on the grids of ``scheme``, its parameters and exponents unset: for calibration or a checkpoint to fill."""
        layer = cls.__new__(cls)
        nn.Module.__init__(layer)
        layer._build(heads, modes, scheme)
        return layer

    def _build(self, heads: int, modes: int, scheme: Scheme) -> None:
        self.heads, self.modes = heads, modes
        self.engine = "fused"
        self.on_states: Callable[[torch.Tensor, torch.Tensor], None] | None = None
        self.output_quant = None
        self._ranged = False
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

    def _adopt(self, source: S4D) -> None:
        """Start where the float layer starts."""
        with torch.no_grad():
            self.a.fit(source)
            _, b, c = source.discrete()
            gain = self.a.input_gain()
            self.b.copy_(torch.view_as_real(b if gain is None else b / gain))
            self.c.copy_(torch.view_as_real(c))
            self.d.copy_(source.d)

    def _quantize_parameters(self, quants: dict[str, type[ExtendedInjector]], bits: dict[str, int]) -> None:
        sources: dict[str, Callable[[], torch.Tensor]] = {
            "a": self.a.values,
            "b": self.input_weight,
            "c": partial(getattr, self, "c"),
            "d": partial(getattr, self, "d"),
        }
        for tensor, source in sources.items():
            with built_by_brevitas(f"QuantS4D's {tensor}_quant"):
                quantizer = ParameterQuantizer(bits[tensor], quant=quants[tensor], source=source, channels=int(tensor == "a"))
            if isinstance(quantizer.power, PowerOfTwoScale):
                if tensor == "a":
                    quantizer.power.set_exponent(1 - bits["a"])
                else:
                    fit_scale(quantizer.power, source().detach().numpy(), bits[tensor], "mse")
            refuse_inexact(f"QuantS4D's {tensor}_quant", quantizer, signed=True)
            if tensor == "a":
                self.a.cartesian = quantizer
            else:
                setattr(self, f"{tensor}_quant", quantizer)

    def _quantize_state(self, quant: type[ExtendedInjector], bits: int) -> None:
        with built_by_brevitas("QuantS4D's state_quant"):
            self.state = Quantizer(bits, act_quant=quant)
        refuse_moving_scale("QuantS4D's state_quant", self.state)
        refuse_inexact("QuantS4D's state_quant", self.state, signed=True)
        if isinstance(self.state.power, PowerOfTwoScale):
            self.state.power.scale.fill_(torch.nan)  # not known yet

    def input_weight(self) -> torch.Tensor:
        """B̄ before rounding, ``(H, N, 2)``."""
        gain = None if self.equalised else self.a.input_gain()
        if gain is None:
            return self.b
        return torch.view_as_real(gain * torch.view_as_complex(self.b))

    def parameters_on_grid(self) -> Parameters:
        """Ā, B̄, C ``(H, N)`` as re and im, and D ``(H)``, each on its grid."""
        a_re, a_im = self.a()
        b, c = self.b_quant(self.input_weight()), self.c_quant(self.c)
        return Parameters(a_re, a_im, b[..., 0], b[..., 1], c[..., 0], c[..., 1], self.d_quant(self.d))

    def forward(self, u: torch.Tensor | QuantTensor) -> torch.Tensor | QuantTensor:
        """``y`` ``(B, T, H)`` of whole sequences ``u`` ``(B, T, H)``, the states starting at 0.

        Exact, in units of 2**exponent of the finest product, or what ``output_quant`` makes of it. Raises SsmqError for another
        shape, values on no power-of-two grid, and states whose range nobody has chosen.

        >>> import torch
        >>> from brevitas.nn import QuantIdentity
        >>> from brevitas.quant import Int8ActPerTensorFixedPoint
        >>> from ssmq_brevitas import QuantS4D
        >>> u = QuantIdentity(act_quant=Int8ActPerTensorFixedPoint, return_quant_tensor=True)(torch.randn(4, 20, 2))
        >>> QuantS4D(heads=2, modes=3)(u).shape
        torch.Size([4, 20, 2])
        """
        u = exact_values("QuantS4D's input", u, self.training)
        refuse_shape("QuantS4D", u, "B", "T", self.heads)
        self._find_range(u)
        y = self._recurrence(u)
        return y if self.output_quant is None else self.output_quant(y)

    def _recurrence(self, u: torch.Tensor) -> torch.Tensor:
        if self.on_states is not None:
            y, re, im = self.trace(u)
            self.on_states(re, im)
            return y
        parameters = self.parameters_on_grid()
        if self.engine == "reference":
            return reference_scan(u, *parameters, state_quant=self.state)
        return diagonal_scan(u, *parameters, state_scale=self.state.scale, state_bits=self.state.bits)

    def trace(self, u: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """y ``(B, T, H)`` of values ``u`` ``(B, T, H)``, and the states re, im ``(B, T, H, N)`` as codes int32, by the engine
        that is chosen."""
        parameters, scale = self.parameters_on_grid(), self.state.scale
        if self.engine == "reference":
            y, re, im = reference_scan(u, *parameters, state_quant=self.state, return_states=True)
            return y, (re / scale).to(torch.int32), (im / scale).to(torch.int32)
        return diagonal_scan(u, *parameters, state_scale=scale, state_bits=self.state.bits, return_codes=True)

    def initial_state(self, batch: int) -> torch.Tensor:
        """The state of ``batch`` streams before their first step: codes of 0, int32 ``(batch, H, N, 2)``, re and im last."""
        return torch.zeros(batch, self.heads, self.modes, 2, dtype=torch.int32, device=self.c.device)

    def step(self, u_t: torch.Tensor | QuantTensor, state: torch.Tensor) -> tuple[torch.Tensor | QuantTensor, torch.Tensor]:
        """One time step: ``u_t`` ``(B, H)`` and the state's codes before it to ``y_t`` ``(B, H)`` and the codes after it.

        Equal to ``forward`` in the last code, however long the stream. Raises SsmqError for another shape, and in training mode
        as long as nobody has chosen the states' range.

        >>> import torch
        >>> from ssmq_brevitas import QuantS4D
        >>> layer, u = QuantS4D(heads=2, modes=3), torch.randint(-8, 8, (4, 20, 2)) / 8
        >>> y = layer(u)  # finds the states' range
        >>> y_0, state = layer.eval().step(u[:, 0], layer.initial_state(batch=4))
        >>> torch.equal(y_0, y[:, 0]), state.dtype, state.shape
        (True, torch.int32, torch.Size([4, 2, 3, 2]))
        """
        u_t = exact_values("QuantS4D's input", u_t, self.training)
        refuse_shape("QuantS4D.step", u_t, "B", self.heads)
        refuse_shape("QuantS4D.step's state", state, u_t.shape[0], self.heads, self.modes, 2)
        self._find_range(u_t[:, None])
        scale = self.state.scale[..., None]
        re, im = (state.to(u_t.dtype) * scale).unbind(dim=-1)
        y, *parts = reference_scan(
            u_t[:, None], *self.parameters_on_grid(), state_quant=self.state, return_states=True, start=(re, im)
        )
        after = (torch.stack(parts, dim=-1)[:, 0] / scale).to(torch.int32)
        return (y[:, 0] if self.output_quant is None else self.output_quant(y[:, 0])), after

    def _find_range(self, u: torch.Tensor) -> None:
        """Choose the state's exponent by the states that ``u`` causes, if nobody has chosen it."""
        if self._ranged or not self.state.scale.isnan().any():
            self._ranged = True
            return
        if not self.training or u.shape[1] == 1:
            raise SsmqError(
                "QuantS4D: the range of its states is not known yet: run a batch of sequences in training mode, or set it by "
                "layer.state.power.set_exponent()"
            )
        with torch.no_grad():
            a_re, a_im, b_re, b_im, *_ = (value.cpu() for value in self.parameters_on_grid())
        seen = state_statistics(torch.complex(a_re, a_im), torch.complex(b_re, b_im), u[:SEEN].detach().cpu())
        fit_scale(self.state.power, seen.samples, self.state.bits, "mse")


def _injectors(given: dict[str, type[ExtendedInjector] | None], options: dict) -> dict[str, type[ExtendedInjector]]:
    """The quantiser classes of all tensors that are quantised, with the options of each set in it."""
    prefixes = tuple(f"{tensor}_" for tensor in given)
    unknown = next((option for option in options if not option.startswith(prefixes)), None)
    if unknown is not None:
        raise TypeError(f"QuantS4D has no option {unknown!r}: options begin with {', '.join(prefixes)}")
    quants = {}
    for tensor, quant in given.items():
        own = filter_kwargs(f"{tensor}_", options)
        if quant is not None:
            refuse_no_class(f"QuantS4D's {tensor}_quant", quant)
        elif tensor != "output":
            quant = PowerOfTwoAct if tensor == "state" else PowerOfTwoWeight
        elif own:
            raise SsmqError(f"QuantS4D's output_{next(iter(own))} needs an output_quant")
        else:
            continue
        quants[tensor] = quant.let(**own)
    return quants
