"""Operators that move elements and compute nothing."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...dataflow.datatype import is_integer
from .site import Site
from .table import TABLE, converts


@converts("Concat", becomes="StreamingConcat, or Pad1D", codes=())
def concat(site: Site) -> Iterator[str]:
    """Integer streams along the last axis; or one stream (1, tokens, channels) with constants of its type along axis 1."""
    shape, axis, count = site.shape(), site.integer("axis"), len(site.node.input)
    streams = [k for k in range(count) if not site.is_constant(k)]
    if len(streams) < count:
        if not _pads_tokens(site, streams, axis):
            yield "joins a constant, and FINN only to a stream (1, tokens, channels) along axis 1, of the same type"
        return
    if shape is not None and axis not in (-1, len(shape) - 1):
        yield f"joins along axis {axis}, and FINN along the last one"
    for k in streams:
        if not is_integer(site.datatype(k)):
            yield f"joins {site.node.input[k]}, of the type {site.datatype(k)}"
    if shape is not None and len(shape) < 2:
        yield "joins streams of one dimension, and FINN wants (vectors, channels)"


def _pads_tokens(site: Site, streams: list[int], axis: int | None) -> bool:
    if len(streams) != 1 or axis not in (1, -2) or not is_integer(site.datatype(streams[0])):
        return False
    shape, kind = site.shape(streams[0]), site.datatype(streams[0])
    if shape is None or len(shape) != 3 or shape[0] != 1:
        return False
    rest = [k for k in range(len(site.node.input)) if k not in streams]
    return all(
        (found := site.shape(k)) is not None and len(found) == 3 and found[0] == 1 and found[2] == shape[2] and site.datatype(k) == kind
        for k in rest
    )


@converts("Split", becomes="StreamingSplit", integers=(0,), vectors=True)
def split(site: Site) -> Iterator[str]:
    """The last axis, into sizes given by a constant operand."""
    shape, axis = site.shape(), site.integer("axis")
    if not site.is_constant(1):
        yield "has no constant operand with the sizes of its parts"
    if shape is not None and axis not in (-1, len(shape) - 1):
        yield f"splits axis {0 if axis is None else axis}, and FINN the last one"


@converts("Pad", becomes="FMPadding")
def pad(site: Site) -> Iterator[str]:
    """Zeros around height and width of (batch, height, width, channels), with axes [1, 2] as the fourth operand."""
    shape, mode = site.shape(), site.text("mode", "constant")
    if mode != "constant":
        yield f"pads by the mode {mode}, and FINN with zeros only"
    elif shape is not None and len(shape) != 4:
        yield f"pads {len(shape)} dimensions, and FINN the four of (batch, height, width, channels) only"
    elif not site.has(3) or site.listed(3) != [1, 2]:
        yield "has no constant axes [1, 2] as its fourth operand"
    elif site.constant(2) is None or np.any(site.constant(2) != 0):
        yield "pads with something other than a constant 0"
    elif site.constant(1) is None:
        yield "has padding that is not constant"


@converts("Gather", becomes="Crop, SelectToken, or Lookup", codes=(0,))
def gather(site: Site) -> Iterator[str]:
    """Neighbours in ascending order along height or width (Crop), one token of (1, tokens, channels), or rows of a table."""
    if site.is_constant(0):
        yield from _lookup(site)
    elif not site.is_constant(1):
        yield "has indices that are not constant, and data that is not"
    elif site.constant(1) is not None and not _selects_token(site):
        yield from _crop(site)


def _lookup(site: Site) -> Iterator[str]:
    table, kind = site.shape(0), site.datatype(1)
    if site.integer("axis", 0) != 0:
        yield f"looks up along axis {site.integer('axis')}, and FINN rows (axis 0)"
    elif not is_integer(kind) or not kind.startswith("U") and kind != "BINARY":
        yield f"has indices of the type {kind}, and FINN wants an unsigned integer"
    elif table is not None and len(table) != 2:
        yield f"looks up in a table of the shape {table}, and FINN wants two dimensions"


def _selects_token(site: Site) -> bool:
    shape, at, axis = site.shape(), site.constant(1), site.integer("axis", 0)
    fits = shape is not None and len(shape) == 3 and shape[0] == 1 and axis in (1, -2) and at.ndim == 0
    return fits and at.dtype.kind in "iu" and -shape[1] <= int(at) < shape[1]


def _crop(site: Site) -> Iterator[str]:
    shape, at, axis = site.shape(), site.constant(1), site.integer("axis")
    if shape is None:
        return
    allowed = [len(shape) - 3, len(shape) - 2] if len(shape) > 2 else [len(shape) - 2]
    if axis is None or axis < 0 or axis not in allowed:
        yield f"takes elements along axis {0 if axis is None else axis}, and FINN crops height and width only, by an axis that is given and not negative"
    elif at.dtype != np.int64:
        yield f"has indices of the type {at.dtype}, and FINN wants int64"
    elif at.ndim != 1 or not at.size or at.min() < 0 or np.any(np.diff(at) != 1):
        yield "takes elements that are no neighbours in ascending order, and FINN crops"


@converts("Reshape", becomes="Reshape")
def reshape(site: Site) -> Iterator[str]:
    """To a constant shape without zeros."""
    if not site.is_constant(1):
        yield "has a shape that is not constant"
    elif 0 in (site.listed(1) or ()):
        yield "has a 0 (as before) in its shape: write the size"


@converts("Flatten", becomes="nothing: FINN removes it")
def flatten(site: Site) -> Iterator[str]:
    """Between two hardware operators, if it keeps the first dimension."""
    before, readers, shape, flat = site.producer, site.readers(), site.shape(), site.result()
    loose = not readers or before is None or not _is_converted(before.op_type) or (len(readers) == 1 and not _is_converted(readers[0].op_type))
    if loose or (shape and flat and shape[0] != flat[0]):
        yield "is removed only between two hardware operators, with the first dimension kept: write it as Reshape"
    elif len(readers) == 1 and readers[0].input[0] != site.node.output[0]:
        yield "feeds an operand that is not the first, and FINN would connect it to the first: write it as Reshape"


def _is_converted(op: str) -> bool:
    """Whether FINN has made hardware of an operator when it looks at Flatten."""
    return op in TABLE and op not in ("Flatten", "Reshape", "Transpose")


@converts("Transpose", becomes="Shuffle")
def transpose(site: Site) -> Iterator[str]:
    """Behind another operator, with its permutation given: FINN leaves the first node of a graph on the host."""
    perm, readers = site.integers("perm"), site.readers()
    paired = bool(readers) and perm is not None and all(_undoes(perm, node) for node in readers)
    if perm is None:
        yield "has no permutation: write perm"
    elif site.is_first() and not paired and not _pooled(perm, readers):
        yield "is the first operator, which FINN leaves on the host: store the input transposed"
    elif paired and len(readers) == 1 and not site.is_output() and _ends(site, readers[0]):
        yield "is undone by the last operator of the graph, and FINN stops at the pair: remove both"


def _pooled(perm: list[int], readers: list) -> bool:
    """Whether the transposition meets the one that FINN puts before a pool with channels first."""
    return perm == [0, 3, 1, 2] and bool(readers) and all(node.op_type == "MaxPool" for node in readers)


def _undoes(perm: list[int], node) -> bool:
    if node.op_type != "Transpose":
        return False
    other = next((list(a.ints) for a in node.attribute if a.name == "perm"), None)
    return other is not None and sorted(other) == sorted(perm) == list(range(len(perm))) and [perm[p] for p in other] == list(range(len(perm)))


def _ends(site: Site, node) -> bool:
    name = node.output[0] if node.output else ""
    return name in site.view.outputs and not site.view.consumers.get(name)


@converts("Where", becomes="HWWhere", codes=())
def where(site: Site) -> Iterator[str]:
    """Three streams: a BINARY condition, and two of the result's own type."""
    kinds = [site.hardware_type(k) for k in range(3)]
    result = site.view.tidied.hardware.get(site.view.output(site.node), "FLOAT32")
    if any(site.is_constant(k) for k in range(3)):
        yield "chooses a constant, and FINN among streams only"
    elif kinds[0] not in ("BINARY", "UINT1"):
        yield f"has a condition of the type {kinds[0]}, and FINN wants BINARY"
    elif kinds[1] != kinds[2] or result != kinds[1]:
        yield f"chooses between {kinds[1]} and {kinds[2]} for a result of {result}, and FINN wants one type"
