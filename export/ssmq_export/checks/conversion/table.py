"""The table of conversions, filled by the decorator."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .site import Site

Condition = Callable[[Site], Iterator[str]]


@dataclass(frozen=True)
class Conversion:
    """``integers`` are the operands that must be integer streams (or codes), ``codes`` those whose constants are values
    and not parameters; with ``vectors`` the first operand is (vectors, channels), two dimensions at least."""

    op: str
    becomes: str
    domain: str
    integers: tuple[int, ...]
    codes: tuple[int, ...]
    vectors: bool
    why: str
    condition: Condition


TABLE: dict[str, Conversion] = {}


def converts(
    *ops: str,
    becomes: str,
    domain: str = "",
    integers: tuple[int, ...] = (),
    codes: tuple[int, ...] = (0,),
    vectors: bool = False,
) -> Callable[[Condition], Condition]:
    """Register the condition of operators; its docstring says when FINN converts them."""

    def register(condition: Condition) -> Condition:
        why = inspect.getdoc(condition) or ""
        for op in ops:
            TABLE[op] = Conversion(op, becomes, domain, integers, codes, vectors, why, condition)
        return condition

    return register
