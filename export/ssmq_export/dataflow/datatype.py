"""FINN's integer types by name."""

from __future__ import annotations

import re

# At most four digits: a foreign file must not make 2**bits eat the memory.
_INTEGER = re.compile(r"(U?)INT([1-9][0-9]{0,3})")
_NARROW = {"BINARY": (0, 1), "BIPOLAR": (-1, 1), "TERNARY": (-1, 1)}


def integer_range(datatype: str) -> tuple[int, int] | None:
    """Range of a FINN integer type (INT8, UINT4, BIPOLAR ...); None for any other."""
    if datatype in _NARROW:
        return _NARROW[datatype]
    match = _INTEGER.fullmatch(datatype)
    if not match:
        return None
    bits = int(match.group(2))
    return (0, 2**bits - 1) if match.group(1) else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def range_of(datatype: str) -> tuple[int, int]:
    """Range of a type that is known to be one of integers."""
    found = integer_range(datatype)
    assert found is not None, datatype
    return found


def is_integer(datatype: str) -> bool:
    """Whether FINN streams this type as integers."""
    return integer_range(datatype) is not None


def is_signed(datatype: str) -> bool:
    return not datatype.startswith("U") and datatype != "BINARY"


def bits(datatype: str) -> int | None:
    """Width of an integer type."""
    limits = integer_range(datatype)
    one = datatype in ("BINARY", "BIPOLAR")
    return None if limits is None else 1 if one else (limits[1] - limits[0]).bit_length()


def integer_type(low: int, high: int) -> str:
    """FINN's name of the narrowest type holding ``low .. high``."""
    if low >= 0:
        return f"UINT{max(1, high.bit_length())}"
    return f"INT{max(2, high.bit_length() + 1, (-low - 1).bit_length() + 1)}"
