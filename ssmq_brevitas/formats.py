"""Formats: how a tensor is coded. value = code * 2**exponent, saturating; exponents chosen from samples.

The exponent may be one number or an array that broadcasts against the tensor (one a head or a mode).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .errors import SsmqError

# Wider codes are no exact float64 values; scales are float32 where a model is.
WIDEST, EXPONENTS = 53, (-126, 127)
RULES = ("mse", "percentile", "max")


def whole_exponent(exponent: np.ndarray | int) -> np.ndarray:
    """``exponent`` as int64. Raises SsmqError unless all are whole numbers whose power of two is a float32 scale."""
    array = np.asarray(exponent)
    low, high = EXPONENTS
    if array.dtype.kind not in "iu" or not array.size or array.min() < low or array.max() > high:
        raise SsmqError(f"an exponent must be a whole number from {low} to {high}, not {exponent!r}")
    return array.astype(np.int64)


@dataclass(frozen=True)
class Format:
    """``bits`` wide codes, two's complement if ``signed``; ``exponent`` an int64 array that broadcasts.

    Raises SsmqError for fewer than 1 bit (signed 2) or more than 53, and for exponents that are no whole numbers.
    """

    bits: int
    signed: bool
    exponent: np.ndarray

    def __post_init__(self):
        if not isinstance(self.signed, (bool, np.bool_)):
            raise SsmqError(f"signed must be True or False, not {self.signed!r}")
        least, whole = 2 if self.signed else 1, isinstance(self.bits, (int, np.integer)) and not isinstance(self.bits, bool)
        if not whole or not least <= self.bits <= WIDEST:
            kind = "a signed" if self.signed else "an unsigned"
            raise SsmqError(f"{kind} format's bits must be a whole number from {least} to {WIDEST}, not {self.bits!r}")
        object.__setattr__(self, "exponent", whole_exponent(self.exponent))

    @property
    def low(self) -> int:
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def high(self) -> int:
        return (1 << (self.bits - 1)) - 1 if self.signed else (1 << self.bits) - 1

    @property
    def magnitude(self) -> int:
        """Largest absolute code."""
        return 1 << (self.bits - 1) if self.signed else self.high

    def codes(self, values: np.ndarray) -> np.ndarray:
        """Integer codes of ``values``: round half to even, then saturate."""
        scaled = np.ldexp(np.asarray(values, np.float64), -self.exponent)
        return np.clip(np.rint(scaled), self.low, self.high).astype(np.int64)

    def values(self, codes: np.ndarray) -> np.ndarray:
        return np.ldexp(np.asarray(codes, np.float64), self.exponent)


def covering_exponent(largest: np.ndarray | float, bits: int, signed: bool) -> np.ndarray:
    """Least exponent at which ``largest`` does not saturate; 0 for a tensor of zeros."""
    high = Format(bits, signed, np.array(0)).high
    largest = np.asarray(largest, np.float64)
    with np.errstate(divide="ignore"):
        exponent = np.ceil(np.log2(np.where(largest > 0, largest / high, 1.0)))
    return exponent.astype(np.int64)


def fit_exponent(groups: np.ndarray, bits: int, signed: bool, rule: str = "mse") -> np.ndarray:
    """One exponent for each row of ``groups`` ``(G, samples)``.

    ``rule``: ``"max"`` covers every sample, ``"percentile"`` 99.999 % of them, ``"mse"`` takes the exponent of least
    squared error among the covering one and the five below.
    Raises SsmqError for samples that are not finite.
    """
    if rule not in RULES:
        raise SsmqError(f"the rule of a range must be {', '.join(RULES[:-1])} or {RULES[-1]}, not {rule!r}")
    if not np.all(np.isfinite(groups)):
        raise SsmqError("values to be quantised must be finite numbers, some of these are not: did the training diverge?")
    groups = np.abs(np.asarray(groups, np.float64)) if signed else np.asarray(groups, np.float64)
    if rule == "percentile":
        return covering_exponent(np.quantile(groups, 0.99999, axis=1), bits, signed)
    covering = covering_exponent(groups.max(axis=1), bits, signed)
    if rule == "max":
        return covering
    candidates = covering[None] - np.arange(6)[:, None]  # (6 G)
    errors = []
    for exponent in candidates:
        fmt = Format(bits, signed, exponent[:, None])
        errors.append(np.square(fmt.values(fmt.codes(groups)) - groups).mean(axis=1))
    return candidates[np.argmin(errors, axis=0), np.arange(len(covering))]
