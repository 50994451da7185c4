"""Integer arithmetic that stays in its type: numba would widen int16 and int32 to int64 and halve or quarter a vector.

Each takes the accumulator's type from its first argument, sign-extends the other operands to it and wraps as hardware
does; the program proves beforehand that nothing wraps.
"""

from __future__ import annotations

from numba.core import types
from numba.core.extending import intrinsic


def _binary(operation: str, doc: str):
    def function(typing, left, right):
        if not (isinstance(left, types.Integer) and isinstance(right, types.Integer)):
            return None
        wide = left if left.bitwidth >= right.bitwidth else right

        def build(context, builder, signature, arguments):
            extended = [context.cast(builder, a, t, wide) for a, t in zip(arguments, signature.args, strict=True)]
            return getattr(builder, operation)(*extended)

        return wide(left, right), build

    function.__doc__ = doc
    return intrinsic(function)


add = _binary("add", "left + right in the wider of their types.")
subtract = _binary("sub", "left - right in the wider of their types.")
multiply = _binary("mul", "left * right in the wider of their types.")
both = _binary("and_", "Bitwise and.")
shift_right = _binary("ashr", "Arithmetic shift; the count must be less than the bits of the type.")
