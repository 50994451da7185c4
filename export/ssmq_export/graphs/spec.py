"""Parameters on their grids, without torch."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..dataflow.format import Format


@dataclass(frozen=True)
class Constant:
    """A parameter on its grid: ``values`` are exact multiples of 2**exponent."""

    values: np.ndarray
    format: Format

    def outputs(self, start: int, stop: int) -> Constant:
        """``start:stop`` of the last axis, whose exponents may differ."""
        exponent = np.asarray(self.format.exponent)
        fmt = replace(self.format, exponent=exponent[..., start:stop]) if exponent.size > 1 else self.format
        return Constant(self.values[..., start:stop], fmt)


@dataclass(frozen=True)
class Linear:
    """``weight`` (inputs, outputs), ``bias`` (outputs,) or None."""

    weight: Constant
    bias: Constant | None

    def part(self, start: int, stop: int) -> Linear:
        """The outputs ``start:stop`` as a layer of its own."""
        weight = self.weight.outputs(start, stop)
        return Linear(weight, self.bias and self.bias.outputs(start, stop))
