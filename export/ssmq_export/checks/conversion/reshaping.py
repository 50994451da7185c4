"""Operators that give the elements another shape or order, and compute nothing."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx

from ...dataflow.attributes import integers_attribute
from .site import Site
from .table import TABLE, converts

# Their hardware reads a stream, whatever the shape of the tensor.
STREAMED = ("MatMul", "XnorPopcountMatMul", "MultiThreshold")
TO_CHANNELS_FIRST = [0, 3, 1, 2]


@converts("Reshape", becomes="Reshape, or nothing as Flatten")
def reshape(site: Site) -> Iterator[str]:
    """To a constant shape without zeros. FINN removes it where it does the same as a Flatten that is removed."""
    if not site.is_constant(1):
        yield "has a shape that is not constant"
    elif 0 in (site.listed(1) or ()):
        yield "has a 0 (as before) in its shape: write the size"
    elif _is_removed(site):
        yield from _removed(site)


@converts("Flatten", becomes="nothing: FINN removes it")
def flatten(site: Site) -> Iterator[str]:
    """Between two hardware operators, if it keeps the first dimension, and what reads it is a MatMul or MultiThreshold or
    finds the same shape without it. Or between a transposition to channels first and the MatMul of a constant weight."""
    if not site.shape() or not site.result():
        return  # static-shapes
    if _is_removed(site):
        yield from _removed(site)
    elif not _joins_the_weight(site):
        yield "is removed only between two hardware operators, with the first dimension kept: write it as Reshape"


def _is_removed(site: Site) -> bool:
    """Whether FINN connects what reads this to what it reads; a tensor read twice is copied, by an operator between them."""
    reader = site.only_reader
    before = site.producer is not None and (_is_converted(site.producer) or site.view.is_copied(site.node.input[0]))
    behind = site.view.is_copied(site.node.output[0]) if reader is None else _is_converted(reader)
    return before and behind and _is_flat(site)


def _is_flat(site: Site) -> bool:
    """Whether it leaves (vectors, channels), with the first dimension kept."""
    shape, flat = site.shape() or [], site.result() or []
    return len(flat) == 2 and shape[:1] == flat[:1]


def _removed(site: Site) -> Iterator[str]:
    """What is wrong without this node."""
    reader = site.only_reader
    if reader is None:
        return
    if reader.input[0] != site.node.output[0]:
        yield f"is removed, and FINN connects the first operand of {reader.op_type} in place of this: keep three dimensions"
    elif site.shape() != site.result() and reader.op_type not in STREAMED:
        yield f"is removed, and {reader.op_type} finds the shape {site.shape()}: keep three dimensions"


def _joins_the_weight(site: Site) -> bool:
    """Whether FINN turns the rows of a weight in place of the transposition before."""
    turn, reader = site.producer, site.only_reader
    if turn is None or reader is None or reader.op_type != "MatMul":
        return False
    before = Site(site.view, turn).producer
    turned = integers_attribute(turn, "perm") == TO_CHANNELS_FIRST and before is not None and _is_converted(before)
    return turned and _is_flat(site) and Site(site.view, reader).is_constant(1)


def _is_converted(node: onnx.NodeProto) -> bool:
    """Whether FINN has made hardware of an operator when it looks at Flatten."""
    return node.op_type in TABLE and node.op_type not in ("Flatten", "Reshape", "Transpose")


@converts("Transpose", becomes="Shuffle")
def transpose(site: Site) -> Iterator[str]:
    """Behind another operator, with its permutation given: FINN leaves the first node of a graph on the host."""
    perm, reader = site.integers("perm"), site.only_reader
    undone = perm is not None and reader is not None and _undoes(perm, reader)
    if perm is None:
        yield "has no permutation: write perm"
    elif (
        site.is_first()
        and not undone
        and not (perm == TO_CHANNELS_FIRST and reader is not None and reader.op_type == "MaxPool")
    ):
        yield "is the first operator, which FINN leaves on the host: store the input transposed"
    elif undone and reader is not None and site.view.is_last(reader):
        yield "is undone by the last operator of the graph, and FINN stops at the pair: remove both"


def _undoes(perm: list[int], node: onnx.NodeProto) -> bool:
    return integers_attribute(node, "perm") == np.argsort(perm).tolist()
