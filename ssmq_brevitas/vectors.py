"""Sixteen numbers as one numba value, so that a kernel's states stay in vector registers from step to step.

Numba vectorises inner loops over arrays, which here would load and store every state at every step. A ``Vector`` value
is an LLVM vector instead: the compiler maps it onto whatever registers the machine has (AVX-512: one, AVX2: two).
Source: numba's extension API (numba.readthedocs.io, "Low-level extension API") and the LLVM language reference.
"""

from __future__ import annotations

import operator

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, overload, register_model

WIDTH = 16


def magic(dtype: np.dtype) -> np.floating:
    """1.5 * 2**(p-1), p the bits of the significand: added and subtracted, it rounds half to even.

    Exactly so for |s| < 2**(p-2); beyond, the result is off by little, which no code of fewer bits notices.
    """
    return dtype.type(1.5 * 2.0 ** (23 if dtype == np.float32 else 52))


class _VectorType(types.Type):
    def __init__(self, dtype: types.Type):
        self.dtype = dtype
        super().__init__(name=f"Vector({dtype})")


@register_model(_VectorType)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager, kind):
        super().__init__(manager, kind, ir.VectorType(manager.lookup(kind.dtype).get_value_type(), WIDTH))


def _vector_pointer(context, builder, signature, arguments, element: ir.Type):
    """Address of ``array.flat[offset]`` as a vector of ``element``, from arguments that begin (array, offset)."""
    array = context.make_array(signature.args[0])(context, builder, arguments[0])
    start = builder.gep(array.data, [arguments[1]])
    return builder.bitcast(start, ir.VectorType(element, WIDTH).as_pointer())


@intrinsic
def load(typing, array, offset):
    """The 16 numbers of a C-contiguous array from flat index ``offset`` on."""

    def generate(context, builder, signature, arguments):
        element = context.get_value_type(signature.return_type).element
        pointer = _vector_pointer(context, builder, signature, arguments, element)
        return builder.load(pointer, align=signature.args[0].dtype.bitwidth // 8)

    return _VectorType(array.dtype)(array, types.intp), generate


@intrinsic
def store(typing, array, offset, vector):
    """Write ``vector`` to a C-contiguous array of their type from flat index ``offset`` on."""

    def generate(context, builder, signature, arguments):
        pointer = _vector_pointer(context, builder, signature, arguments, arguments[2].type.element)
        builder.store(arguments[2], pointer, align=signature.args[0].dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, vector), generate


@intrinsic
def accumulate(typing, array, offset, vector):
    """``array.flat[offset:offset + 16] += vector`` for a float64 array."""

    def generate(context, builder, signature, arguments):
        pointer = _vector_pointer(context, builder, signature, arguments, ir.DoubleType())
        wide = arguments[2]
        if wide.type.element != ir.DoubleType():
            wide = builder.fpext(wide, ir.VectorType(ir.DoubleType(), WIDTH))
        builder.store(builder.fadd(builder.load(pointer, align=8), wide), pointer, align=8)
        return context.get_dummy_value()

    return types.void(array, types.intp, vector), generate


@intrinsic
def splat(typing, scalar):
    """``scalar`` in every place."""

    def generate(context, builder, signature, arguments):
        vector = ir.Constant(ir.VectorType(arguments[0].type, WIDTH), ir.Undefined)
        for place in range(WIDTH):
            vector = builder.insert_element(vector, arguments[0], ir.Constant(ir.IntType(32), place))
        return vector

    return _VectorType(scalar)(scalar), generate


def _binary(name: str):
    """Intrinsic of an LLVM instruction, exactly as it stands: never reassociated."""

    @intrinsic
    def instruction(typing, left, right):
        def generate(context, builder, signature, arguments):
            return getattr(builder, name)(*arguments)

        return left(left, right), generate

    return instruction


_add, _sub, _mul = _binary("fadd"), _binary("fsub"), _binary("fmul")


@overload(operator.add)
def _overload_add(left, right):
    if isinstance(left, _VectorType) and left == right:
        return lambda left, right: _add(left, right)


@overload(operator.sub)
def _overload_sub(left, right):
    if isinstance(left, _VectorType) and left == right:
        return lambda left, right: _sub(left, right)


@overload(operator.mul)
def _overload_mul(left, right):
    if isinstance(left, _VectorType) and left == right:
        return lambda left, right: _mul(left, right)


def _fused(negated: bool):
    # Chosen by hand, for the compiler fuses products in whatever order and a recurrence waits for its longest chain.
    @intrinsic
    def instruction(typing, left, right, summand):
        def generate(context, builder, signature, arguments):
            first, second, third = arguments
            if negated:
                first = builder.fneg(first)
            kind = first.type
            name = f"llvm.fmuladd.v{WIDTH}{'f32' if kind.element == ir.FloatType() else 'f64'}"
            function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(kind, [kind] * 3), name)
            return builder.call(function, (first, second, third))

        return left(left, right, summand), generate

    return instruction


fma = _fused(negated=False)
"""``fma(a, b, c)``: ``a * b + c``; one rounding where the machine can, two where not."""
fnma = _fused(negated=True)
"""``fnma(a, b, c)``: ``c - a * b``."""


@intrinsic
def clamp(typing, vector, low, high):
    """``min(max(vector, low), high)``; a NaN becomes ``low``."""

    def generate(context, builder, signature, arguments):
        value, low_value, high_value = arguments
        value = builder.select(builder.fcmp_ordered(">", value, low_value), value, low_value)
        return builder.select(builder.fcmp_ordered("<", value, high_value), value, high_value)

    return vector(vector, vector, vector), generate


@intrinsic
def equal(typing, left, right):
    """One bit a place, as a uint16: set where ``left == right``."""

    def generate(context, builder, signature, arguments):
        return builder.bitcast(builder.fcmp_ordered("==", *arguments), ir.IntType(WIDTH))

    return types.uint16(left, right), generate


@intrinsic
def where(typing, bits, vector):
    """``vector`` where the place's bit is set, else 0."""

    def generate(context, builder, signature, arguments):
        mask = builder.bitcast(arguments[0], ir.VectorType(ir.IntType(1), WIDTH))
        return builder.select(mask, arguments[1], cgutils.get_null_value(arguments[1].type))

    return vector(types.uint16, vector), generate
