"""What a quantised network is, without torch: calls on the channels of one time step, numbers and formats."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..dataflow.format import Format
from .spec import Constant, Linear

Pair = tuple[Constant, Constant]


@dataclass(frozen=True)
class Recurrence:
    """An S4D layer. ``a``, ``b``, ``c`` hold (re, im) pairs of ``(H, N)`` constants, ``d`` is ``(H,)``."""

    a: Pair
    b: Pair
    c: Pair
    d: Constant
    state: Format


@dataclass(frozen=True)
class Function:
    """An elementwise function by its ``name``; ``numbers`` are its constants, ``table`` its values by code of its operand."""

    name: str
    numbers: tuple[float, ...] = ()
    table: np.ndarray | None = None


@dataclass(frozen=True)
class Affine:
    """Gain and offset, one number or one a channel."""

    gain: np.ndarray
    offset: np.ndarray


@dataclass(frozen=True)
class Select:
    """``count`` channels from ``first`` on."""

    first: int


@dataclass(frozen=True)
class Total:
    """A running sum over time, and its format after the last step."""

    format: Format


@dataclass(frozen=True)
class Given:
    """The network's input, and the format of its codes."""

    format: Format


@dataclass(frozen=True)
class Call:
    """One operation: what it computes, ``name`` of its tensor, ``inputs`` the names of what it reads.

    ``does`` is a Linear, a Recurrence, a Function, an Affine, a Constant (an exact factor), a Select, a Total, a Format (of a
    quantiser), a Given, or the word ``"add"``, ``"sub"``, ``"mul"``, ``"cat"`` or ``"output"``.
    """

    name: str
    does: Given | Linear | Recurrence | Function | Affine | Constant | Select | Total | Format | str
    inputs: tuple[str, ...]
    channels: int
    each_step: bool


@dataclass(frozen=True)
class NetworkSpec:
    """A network's calls in order, the first its input and the last its output. ``double``: its sums need float64."""

    calls: tuple[Call, ...]
    length: int
    double: bool
    metadata: dict[str, str] = field(default_factory=dict)

    @property
    def dtype(self) -> type[np.floating]:
        return np.float64 if self.double else np.float32
