"""What a folder of generated RTL holds: ``manifest.json``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from ..dataflow.graph import DataflowGraph
from ..dataflow.ports import Port
from ..errors import ExportError
from ..own_file import read_file
from . import timing
from .build import Design
from .netlist import Cell, Stream
from .schedule import interval, total_cycles

MANIFEST = "manifest.json"
NAME = r"^[A-Za-z][A-Za-z0-9_]{0,79}$"
Name = Annotated[str, Field(pattern=NAME)]
Count = Annotated[int, Field(ge=1, le=1 << 32)]
_TIMED: list[type[timing.Through]] = [timing.Through, *timing.Through.__subclasses__()]
TIMINGS = {cls.__name__: cls for cls in _TIMED}


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StreamEntry(_Entry):
    """``lanes`` of ``channels`` a beat, each of ``bits``; ``once``: one step a sequence."""

    channels: Count
    lanes: Count
    bits: Annotated[int, Field(ge=1, le=64)]
    signed: bool
    once: bool
    slots: Count = 1
    paced: bool = False

    def stream(self, name: str) -> Stream:
        return Stream(name, **self.model_dump())


class PortEntry(_Entry):
    """A port of the top level: the tensor, its stream, and what a code stands for, code * 2**exponent."""

    tensor: str
    stream: Name
    exponent: list[int]


class Memory(_Entry):
    """A ROM image, ``words`` of ``bits``."""

    file: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,79}\.mem$")]
    words: Count
    bits: Count


class CellEntry(_Entry):
    """An instance: its streams by port, and ``timing`` as ``rtl/timing.py`` knows it."""

    name: Name
    module: Name
    inputs: dict[Name, Name]
    outputs: dict[Name, Name]
    interval: Count
    parameters: dict[str, int]
    memories: dict[str, Memory]
    timing: dict[str, str | int]


class Manifest(_Entry):
    """Cycles: ``interval`` between two steps, ``latency`` from the first beat of a step to its last output where nothing
    else is on the way, ``cycles`` of the first sequence of ``length`` steps, ``further`` of each that follows.

    ``tensors``: what streams carry, in the order of computation; ``layered``: what streams of the serial shape carry, layer
    after layer. ``longest``: steps after which a running sum may leave its type; None if none can."""

    version: Literal[1] = 1
    top: Name
    shape: Literal["dataflow", "serial"] = "dataflow"
    length: Count | None
    longest: Count | None
    each_step: bool
    given: PortEntry
    result: PortEntry
    interval: Count
    latency: Count
    cycles: Count | None
    further: Count | None
    streams: dict[Name, StreamEntry]
    tensors: dict[Name, str]
    layered: dict[Name, list[str]] = {}
    cells: list[CellEntry]
    files: list[str]

    def design(self) -> Design:
        """What ``schedule`` needs to foretell cycles."""
        streams = {name: entry.stream(name) for name, entry in self.streams.items()}
        cells = [
            Cell(
                cell.name, cell.module, _timing(cell.timing), {p: streams[s] for p, s in cell.inputs.items()},
                {p: streams[s] for p, s in cell.outputs.items()}, dict(cell.parameters),
            )
            for cell in self.cells
        ]  # fmt: skip
        return Design(cells, streams[self.given.stream], streams[self.result.stream])


def _timing(entry: dict[str, str | int]) -> timing.Through:
    return TIMINGS[str(entry["kind"])](**{name: int(value) for name, value in entry.items() if name != "kind"})


def manifest_of(graph: DataflowGraph, design: Design, top: str, files: list[str]) -> Manifest:
    """The manifest of ``design``, made from ``graph``."""
    streams = {s.name: s for cell in design.cells for s in (*cell.inputs.values(), *cell.outputs.values())}
    first, further = total_cycles(design, 1, graph.length) if graph.length else (None, None)
    return Manifest(
        top=top,
        shape="serial" if design.layered else "dataflow",
        length=graph.length,
        longest=_longest(graph),
        each_step=bool(graph.ports.output.each_step),
        given=_port(graph.ports.input, design.given),
        result=_port(graph.ports.output, design.result),
        interval=interval(design),
        latency=total_cycles(design, 1, 1)[0],
        cycles=first,
        further=further,
        streams={name: StreamEntry(**{k: v for k, v in asdict(s).items() if k != "name"}) for name, s in streams.items()},
        tensors=design.tensors,
        layered=design.layered,
        cells=[_cell(cell) for cell in design.cells],
        files=files,
    )


def _port(port: Port, stream: Stream) -> PortEntry:
    exponent = np.broadcast_to(port.format.exponent, (port.channels,)).tolist()
    return PortEntry(tensor=port.name, stream=stream.name, exponent=exponent)


def _cell(cell: Cell) -> CellEntry:
    return CellEntry(
        name=cell.name,
        module=cell.module,
        inputs={port: stream.name for port, stream in cell.inputs.items()},
        outputs={port: stream.name for port, stream in cell.outputs.items()},
        interval=cell.interval,
        parameters=cell.parameters,
        memories={k: Memory(file=f"{r.name}.mem", words=len(r.words), bits=r.bits) for k, r in cell.roms.items()},
        timing={"kind": type(cell.timing).__name__, **asdict(cell.timing)},
    )


def _longest(graph: DataflowGraph) -> int | None:
    """Steps that every running sum holds."""
    found = []
    for operation in graph.operations:
        if operation.kind == "running sum":
            (least, most), (low, high) = operation.sources[0], operation.limits
            found += [int(h // m) for h, m in zip(high, most, strict=True) if m > 0]
            found += [int(-end // -m) for end, m in zip(low, least, strict=True) if m < 0]
    return max(1, min(found)) if found else None


def load_manifest(folder: Path) -> Manifest:
    """The manifest in ``folder``, or one message that says why there is none."""
    path = folder / MANIFEST
    advice = "give a folder that `ssmq rtl` has written"
    found = read_file(path, Manifest, advice)
    try:
        found.design()
    except (KeyError, TypeError, ValueError) as error:
        raise ExportError(f"{path}: an instance has a stream or a timing that is not there: {advice}") from error
    missing = [name for name in found.files if not (folder / name).is_file()]
    if missing:
        raise ExportError(f"{folder / missing[0]}: missing: generate the folder again with `ssmq rtl`")
    return found
