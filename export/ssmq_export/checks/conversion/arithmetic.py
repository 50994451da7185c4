"""Products, elementwise operators and the choice of labels."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...dataflow.datatype import bits
from ...dataflow.keys import QONNX_DOMAIN
from ..tidy import ELEMENTWISE
from .site import Site
from .table import converts


@converts("MatMul", becomes="MVAU", integers=(0, 1), codes=(0, 1), vectors=True)
def matmul(site: Site) -> Iterator[str]:
    """A stream times a constant weight (inputs, outputs) of two dimensions, or times a second stream."""
    weight = site.shape(1)
    if site.is_constant(0):
        yield "multiplies a constant from the left, and FINN streams the first operand: transpose the product"
    elif site.is_constant(1) and weight is not None and len(weight) != 2:
        yield (
            f"has a weight of the shape {weight}, and FINN takes the first two dimensions for its inputs and outputs: "
            "store it with two"
        )
    elif weight is not None and len(weight) < 2:
        yield f"has a second operand of the shape {weight}, and FINN wants two dimensions"


@converts("XnorPopcountMatMul", becomes="MVAU", domain=QONNX_DOMAIN, codes=(0, 1), vectors=True)
def xnor_popcount(site: Site) -> Iterator[str]:
    """BINARY data and a constant BINARY weight of two dimensions."""
    wrong = next((kind for kind in (site.datatype(0), site.datatype(1)) if kind != "BINARY"), None)
    weight = site.shape(1)
    if wrong is not None:
        yield f"has an operand of the type {wrong}, and FINN wants BINARY"
    elif not site.is_constant(1):
        yield "has a weight that is not constant"
    elif weight is not None and len(weight) != 2:
        yield f"has a weight of the shape {weight}, and FINN wants two dimensions"


@converts("Add", "Sub", "Mul", "Div", becomes="ElementwiseAdd and its kin", codes=(0, 1))
@converts("Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual", becomes="ElementwiseLess and its kin", codes=(0, 1))
@converts("And", "Or", "Xor", becomes="ElementwiseAnd and its kin", codes=(0, 1))
def elementwise(site: Site) -> Iterator[str]:
    """Two streams, or a stream and a constant, that broadcast; of one dimension at least. FINN's Div cuts off."""
    for k in range(len(site.node.input)):
        if not site.is_constant(k) and site.shape(k) == []:
            yield f"reads {site.node.input[k]}, a stream without dimensions: FINN changes its shape"
    if site.node.op_type in ("Add", "Sub") and _overflows(site):
        yield "joins BIPOLAR data with data as narrow, and FINN computes a type that does not hold 2: annotate one INT2"


def _overflows(site: Site) -> bool:
    """Whether a result may be 2 where FINN computes INT2: for BIPOLAR and one bit. The type of a constant follows from its
    values, and that of a sum comes second."""
    added = site.node.op_type == "Add"
    first, second = (1, 0) if added and site.is_constant(0) else (0, 1)
    if site.is_constant(first) or site.datatype(first) != "BIPOLAR":
        return False
    values = site.constant(second)
    if values is None:
        return bits(site.datatype(second)) == 1 if added else site.datatype(second) == "BIPOLAR"
    return bool((values == 1).all()) if added else bool((values == -1).any() and np.isin(values, (-1, 0)).all())


@converts("Max", becomes="ElementwiseMax", codes=(0, 1))
def maximum(site: Site) -> Iterator[str]:
    """As Add, of two operands; FINN looks for it only in a graph that has an Add, Sub, Mul, Div or comparison too."""
    if len(site.node.input) != 2 or not any(node.op_type in ELEMENTWISE for node in site.view.tidied.nodes):
        yield "is converted only with two operands, in a graph with an Add, Sub, Mul or Div: make it a MultiThreshold, or Relu"
    yield from elementwise(site)


@converts("Relu", becomes="ElementwiseMax")
def relu(site: Site) -> Iterator[str]:
    """Integers of one dimension at least."""
    if site.shape() == []:
        yield f"reads {site.node.input[0]}, a stream without dimensions"
    if site.datatype() == "BIPOLAR":
        yield "reads BIPOLAR data, for which FINN computes a type too narrow to hold 1"


@converts("Abs", becomes="ElementwiseAbsDiff")
def absolute(site: Site) -> Iterator[str]:
    """Behind a Sub that nothing else reads: both become one operator."""
    before = site.producer
    alone = before is not None and before.op_type == "Sub" and len(site.view.consumers[site.node.input[0]]) == 1
    if not alone or site.node.input[0] in site.view.outputs:
        yield "is converted only behind a Sub that nothing else reads: make it a MultiThreshold"


@converts("TopK", becomes="LabelSelect", integers=(0,), vectors=True)
def top_k(site: Site) -> Iterator[str]:
    """The largest along the last axis, with a constant k; only the indices may be read."""
    shape = site.shape()
    axis = site.integer("axis", -1)
    if not site.is_constant(1):
        yield "has a k that is not constant"
    if shape is not None and axis not in (-1, len(shape) - 1):
        yield f"chooses along axis {axis}, and FINN along the last one"
    if site.integer("largest", 1) != 1:
        yield "chooses the smallest, and FINN the largest: negate the data"
    if site.readers() or site.is_output():
        yield "has its values read, and FINN gives the indices only"
