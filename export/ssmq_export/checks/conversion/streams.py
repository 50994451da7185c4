"""Operators that join, take and choose elements and compute nothing."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...dataflow.datatype import is_integer
from .site import Site
from .table import converts


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
    if len(streams) != 1 or axis not in (1, -2):
        return False
    [stream] = streams
    shape, kind = site.shape(stream), site.datatype(stream)
    if shape is not None and (len(shape) != 3 or shape[0] != 1):
        return False
    return is_integer(kind) and all(site.datatype(k) == kind for k in range(len(site.node.input)))


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
    shape, mode, filling = site.shape(), site.text("mode", "constant"), site.constant(2)
    if mode != "constant":
        yield f"pads by the mode {mode}, and FINN with zeros only"
    elif shape is not None and len(shape) != 4:
        yield f"pads {len(shape)} dimensions, and FINN the four of (batch, height, width, channels) only"
    elif not site.has(3) or site.listed(3) != [1, 2]:
        yield "has no constant axes [1, 2] as its fourth operand"
    elif filling is None or np.count_nonzero(filling):
        yield "pads with something other than a constant 0"
    elif site.constant(1) is None:
        yield "has padding that is not constant"


@converts("Gather", becomes="Crop, SelectToken, or Lookup", codes=(0,))
def gather(site: Site) -> Iterator[str]:
    """Neighbours in ascending order along height or width (Crop), one token of (1, tokens, channels), or rows of a table."""
    at = site.constant(1)
    if site.is_constant(0):
        yield from _lookup(site)
    elif not site.is_constant(1):
        yield "has indices that are not constant, and data that is not"
    elif at is not None and not _selects_token(site, at):
        yield from _crop(site, at)


def _lookup(site: Site) -> Iterator[str]:
    table, kind = site.shape(0), site.datatype(1)
    if site.integer("axis", 0) != 0:
        yield f"looks up along axis {site.integer('axis')}, and FINN rows (axis 0)"
    elif not kind.startswith("U") and kind != "BINARY":
        yield f"has indices of the type {kind}, and FINN wants an unsigned integer"
    elif table is not None and len(table) != 2:
        yield f"looks up in a table of the shape {table}, and FINN wants two dimensions"


def _selects_token(site: Site, at: np.ndarray) -> bool:
    shape, axis = site.shape(), site.integer("axis", 0)
    if shape is None or len(shape) != 3 or shape[0] != 1 or axis not in (1, -2) or at.ndim:
        return False
    return bool(-shape[1] <= at < shape[1])


def _crop(site: Site, at: np.ndarray) -> Iterator[str]:
    shape, axis = site.shape(), site.integer("axis")
    if shape is None:
        return
    if axis is None or axis < 0 or axis not in (len(shape) - 3, len(shape) - 2):
        yield (
            f"takes elements along axis {0 if axis is None else axis}, and FINN crops height and width "
            "only, by an axis that is given and not negative"
        )
    elif at.dtype != np.int64:
        yield f"has indices of the type {at.dtype}, and FINN wants int64"
    elif at.ndim != 1 or not at.size or at.min() < 0 or np.any(np.diff(at) != 1):
        yield "takes elements that are no neighbours in ascending order, and FINN crops"


@converts("Where", becomes="HWWhere", codes=())
def where(site: Site) -> Iterator[str]:
    """Three streams: a BINARY condition, and two of the result's own type."""
    kinds = [site.hardware_type(k) for k in range(3)]
    result = site.view.tidied.hardware.get(site.view.output(site.node), "FLOAT32")
    if any(site.view.is_constant(name) for name in site.node.input):
        yield "chooses a constant, and FINN among streams only"
    elif kinds[0] not in ("BINARY", "UINT1"):
        yield f"has a condition of the type {kinds[0]}, and FINN wants BINARY"
    elif kinds[1] != kinds[2] or result != kinds[1]:
        yield f"chooses between {kinds[1]} and {kinds[2]} for a result of {result}, and FINN wants one type"
