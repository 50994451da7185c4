"""How much of an operation is done at once: lanes, the cycles that follow, and where a graph keeps them.

A folding is part of the graph: properties of its nodes in FINN's words, ``PE`` and ``SIMD`` and ``resType``. Memories
between nodes follow: they are as parallel as the slowest node asks for.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from math import prod

import onnx

from ..errors import ExportError
from .keys import PE_KEY, RES_TYPE_KEY, SIMD_KEY
from .operation import MATRICES, Operation


@dataclass(frozen=True)
class Folding:
    """``lanes``: operations done in parallel along each of the dims. ``use_dsp``: products in hardware
    multipliers. ExportError for lanes that are none."""

    lanes: tuple[int, ...]
    use_dsp: bool = True

    def __post_init__(self):
        if not self.lanes or not all(type(lanes) is int and lanes > 0 for lanes in self.lanes):
            raise ExportError(f"lanes must be whole numbers from 1, not {self.lanes}")

    @property
    def parallel(self) -> int:
        return prod(self.lanes)


def refuse_misfit(operation: Operation, folding: Folding) -> None:
    """Raise ExportError for lanes that do not divide the dims."""
    dims = operation.dims
    if len(folding.lanes) != len(dims) or any(n % lanes for n, lanes in zip(dims, folding.lanes, strict=True)):
        sizes, lanes = (", ".join(map(str, numbers)) for numbers in (dims, folding.lanes))
        raise ExportError(f"node {operation.name}: its lanes must be divisors of {sizes}, not {lanes}")


def cycles(operation: Operation, folding: Folding) -> int:
    """Cycles between two steps of one node: its operations over its lanes, FINN's (MW / SIMD) (MH / PE)."""
    refuse_misfit(operation, folding)
    return operation.items // folding.parallel


def memory_folding(operation: Operation, interval: int) -> Folding:
    """The fewest lanes at which a memory keeps up with a step of ``interval`` cycles."""
    (size,) = operation.dims
    return Folding((fewest_lanes(size, interval),))


def fewest_lanes(size: int, interval: int) -> int:
    """The least divisor of ``size`` at which as many elements pass in ``interval`` cycles."""
    return next(n for n in count(1) if size % n == 0 and size // n <= interval)


def attributes_of(operation: Operation, folding: Folding) -> dict[str, int]:
    """A folding in FINN's words: ``PE``, and ``SIMD`` of what sums."""
    if operation.kind == "scan":
        return {"PE": folding.parallel}
    terms = folding.lanes[1] if len(folding.lanes) == 2 else 1
    return {"PE": folding.lanes[0]} | ({"SIMD": terms} if operation.kind in MATRICES else {})


def scan_lanes(parallel: int, modes: int) -> tuple[int, int]:
    """Heads and modes computed in one cycle where a DiagonalScan says ``PE``: modes first, then whole heads."""
    return max(1, parallel // modes), min(parallel, modes)


def foldings_of(model: onnx.ModelProto, operations: list[Operation]) -> list[Folding] | None:
    """The foldings that the nodes of ``model`` keep, None if none of them does.

    Of a model that was admitted. ExportError for lanes that do not fit.
    """
    nodes = {node.output[0]: node for node in model.graph.node}
    metadata = {name: {entry.key: entry.value for entry in node.metadata_props} for name, node in nodes.items()}
    if not any(PE_KEY in found for found in metadata.values()):
        return None
    return [_read(operation, metadata[operation.output]) for operation in operations]


def _read(operation: Operation, metadata: dict[str, str]) -> Folding:
    parallel, terms = (int(metadata.get(key, "1")) for key in (PE_KEY, SIMD_KEY))
    lanes: tuple[int, ...] = (parallel,)
    if operation.kind == "scan":
        lanes = scan_lanes(parallel, operation.dims[1])
    elif len(operation.dims) == 2:
        lanes = parallel, terms
    found = Folding(lanes, metadata.get(RES_TYPE_KEY) != "lut")
    refuse_misfit(operation, found)
    return found


def fold(model: onnx.ModelProto, operations: list[Operation], foldings: list[Folding]) -> onnx.ModelProto:
    """A copy of ``model`` whose nodes keep ``foldings``, one an operation."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    nodes = {node.output[0]: node for node in result.graph.node}
    for operation, folding in zip(operations, foldings, strict=True):
        refuse_misfit(operation, folding)
        node = nodes[operation.output]
        found = attributes_of(operation, folding)
        told: dict[str, int | str]
        told = {key: found[name] for key, name in ((PE_KEY, "PE"), (SIMD_KEY, "SIMD")) if name in found}
        told[RES_TYPE_KEY] = "auto" if folding.use_dsp else "lut"
        kept = [entry for entry in node.metadata_props if entry.key not in (PE_KEY, SIMD_KEY, RES_TYPE_KEY)]
        del node.metadata_props[:]
        node.metadata_props.extend(kept)
        for key, value in told.items():
            node.metadata_props.add(key=key, value=str(value))
        for attribute in node.attribute:
            if operation.kind == "scan" and attribute.name == "PE":
                attribute.i = folding.parallel
    return result
