"""How a tensor is coded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Format:
    """value = code * 2**exponent; ``exponent`` is an int array that broadcasts against the tensor."""

    bits: int
    signed: bool
    exponent: np.ndarray

    @property
    def low(self) -> int:
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def high(self) -> int:
        return (1 << (self.bits - 1)) - 1 if self.signed else (1 << self.bits) - 1

    @property
    def datatype(self) -> str:
        """FINN's name of the code type."""
        return f"{'' if self.signed else 'U'}INT{self.bits}"
