"""What a trained model is, without torch: numbers and formats, enough to write its graphs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

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


@dataclass(frozen=True)
class Layer:
    """One block. ``a``, ``b``, ``c`` hold (re, im) pairs of ``(H, N)`` constants.

    ``table`` holds the activation's value at every code of ``y``, from the lowest on, where no exact operators give it.
    """

    a: tuple[Constant, Constant]
    b: tuple[Constant, Constant]
    c: tuple[Constant, Constant]
    d: Constant
    state: Format
    norm: tuple[np.ndarray, np.ndarray] | None
    activation: str
    gate: str
    linear: Linear
    quantizers: dict[str, Format]
    table: np.ndarray | None = None


@dataclass(frozen=True)
class ModelSpec:
    """A whole model. ``double`` says that its sums need float64 to be exact; ``input`` is the format of its inputs' codes.
    Its outputs are those of the mean over time, or with ``each_step`` of every step."""

    heads: int
    modes: int
    classes: int
    length: int
    double: bool
    each_step: bool
    pool_exponent: int
    input: Format
    encoder: Linear
    decoder: Linear
    quantizers: dict[str, Format]
    layers: list[Layer]
    metadata: dict[str, str] = field(default_factory=dict)

    @property
    def channels(self) -> int:
        """Inputs a step."""
        return len(self.encoder.weight.values)

    @property
    def dtype(self) -> type[np.floating]:
        return np.float64 if self.double else np.float32
