"""FINN's names of integer types."""

from __future__ import annotations


def integer_type(low: int, high: int) -> str:
    """FINN's name of the narrowest type holding ``low .. high``."""
    if low >= 0:
        return f"UINT{max(1, high.bit_length())}"
    return f"INT{max(2, high.bit_length() + 1, (-low - 1).bit_length() + 1)}"
