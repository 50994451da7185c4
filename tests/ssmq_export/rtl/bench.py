"""Operations made by hand, compiled side by side as one model, driven with pauses and compared with what they mean."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from ssmq_export.dataflow import ranges
from ssmq_export.dataflow.diagonal_scan import output_ranges
from ssmq_export.dataflow.folding import Folding
from ssmq_export.dataflow.hardware import Part, ScanShape
from ssmq_export.dataflow.operation import Operation
from ssmq_export.dataflow.rows import compile_rows
from ssmq_export.rtl import library as library_cells
from ssmq_export.rtl.build import Builder
from ssmq_export.rtl.layers import Layers
from ssmq_export.rtl.names import LIBRARY, Names
from ssmq_export.rtl.netlist import Cell, Stream
from ssmq_export.rtl.schedule import departures, with_queues
from ssmq_export.rtl.serial import visit_layers
from ssmq_export.rtl.simulator import Pins, Simulator, compiled
from ssmq_export.rtl.verilog import top_level

STEPS, SEQUENCES = 5, 3


@dataclass
class Case:
    """Operations in a row, the lanes of each, and codes ``(B, T, channels)`` of what comes from outside.

    ``layers``: how many layers the operations are, in the serial shape; ``lanes`` are those of the first one.
    """

    name: str
    operations: list[Operation]
    lanes: list[tuple[int, ...]]
    codes: dict[str, np.ndarray]
    each_step: bool = True
    use_dsp: bool = True
    argmax: bool = False
    layers: int = 1
    streams: dict[str, Stream] = field(default_factory=dict)

    def expected(self) -> np.ndarray:
        known = dict(self.codes)
        for operation in self.operations:
            known[operation.output] = operation.evaluate(*(known[name] for name in operation.inputs))
        found = known[self.operations[-1].output]
        found = found if self.each_step else found[:, -1:]
        return found.argmax(axis=2)[..., None] if self.argmax else found


@dataclass
class Bench:
    """Cases as they lie beside each other, and the cells of each."""

    cases: list[Case]
    cells: list[list[Cell]]
    simulator: Simulator

    def run(self, gap: float = 0.0, stall: float = 0.0, seed: int = 0):
        """Per case: codes ``(B, T, channels)``, flags ``(B, T, beats)`` and the cycles of its beats."""
        given = [elements(codes) for case in self.cases for codes in case.codes.values()]
        shapes = [case.expected().shape for case in self.cases]
        counts = [int(np.prod(shape)) for shape in shapes]
        found = self.simulator.run(given, counts, gap=gap, stall=stall, seed=seed, patience=4000)
        return [
            (beats.elements.reshape(shape), beats.last.reshape(shape), beats.cycles)
            for beats, shape in zip(found, shapes, strict=True)
        ]

    def foretold(self, number: int) -> np.ndarray:
        """The cycles in which the beats of a case leave."""
        case = self.cases[number]
        times = arrivals(case)
        for cell in self.cells[number]:
            times |= departures(cell, times, SEQUENCES)
        return times[case.streams["out"].name]


def elements(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Codes ``(B, T, channels)`` as beats of one element, and their flags."""
    last = np.zeros(codes.shape, np.int64)
    last[:, -1] = 1
    return codes.reshape(-1, 1), last.reshape(-1)


def bench(cases: list[Case], folder: Path, library: Path = LIBRARY) -> Bench:
    """All cases in one model."""
    names, cells, inputs, outputs = Names(), [], {}, {}
    for number, case in enumerate(cases):
        built = build(case, names)
        inputs |= {f"case{number}_in{k}": case.streams[name] for k, name in enumerate(case.codes)}
        outputs[f"case{number}_out"] = case.streams["out"]
        cells.append(with_queues(built, arrivals(case)))
    return Bench(cases, cells, side_by_side(cells, inputs, outputs, folder, library))


def build(case: Case, names: Names) -> list[Cell]:
    """The cells of a case, without queues; notes its streams."""
    leaving = case.operations[-1].output
    # What enters and leaves layers is read outside them.
    outer = ([], (*case.codes, leaving)) if case.layers > 1 else (case.operations, (leaving,))
    builder = Builder(*outer, names)
    for name in case.codes:
        limits = next(s for o in case.operations for n, s in zip(o.inputs, o.sources, strict=True) if n == name)
        case.streams[name] = builder.enter(name, limits)
    _visit(builder, case)
    case.streams["out"] = result = builder.leave(leaving, case.each_step)
    if case.argmax:
        place = Stream(names.new("place"), 1, 1, max(1, (result.beats - 1).bit_length()), False, result.once)
        builder.cells.append(library_cells.argmax(result, place))
        case.streams["out"] = place
    return builder.cells


def _visit(builder: Builder, case: Case) -> None:
    foldings = [Folding(lanes, case.use_dsp) for lanes in case.lanes]
    if case.layers == 1:
        for operation, folding in zip(case.operations, foldings, strict=True):
            builder.visit(operation, folding)
        return
    size = len(case.operations) // case.layers
    groups = [case.operations[start : start + size] for start in range(0, len(case.operations), size)]
    (entry,) = case.codes
    layers = Layers([], groups, [], [entry, *(group[-1].output for group in groups)])
    visit_layers(builder, layers, {one.output: folding for one, folding in zip(groups[0], foldings, strict=True)})


def side_by_side(cells: list[list[Cell]], inputs, outputs, folder: Path, library: Path = LIBRARY) -> Simulator:
    """Designs compiled as one model; streams by the prefix of their ports."""
    folder.mkdir(parents=True, exist_ok=True)
    every = [cell for some in cells for cell in some]
    (folder / "bench.sv").write_text(top_level(every, inputs, outputs, "bench", "all cases"))
    for cell in every:
        for rom in cell.roms.values():
            (folder / f"{rom.name}.mem").write_text(rom.text())
    pins = [[Pins(port, stream) for port, stream in side.items()] for side in (inputs, outputs)]
    sources = [folder / "bench.sv", *sorted(library.glob("*.sv"))]
    return compiled("bench", folder, sources, *pins, folder / "build", optimise="-O0")


def arrivals(case: Case) -> dict[str, np.ndarray]:
    """An element a cycle."""
    return {case.streams[name].name: np.arange(codes.size) for name, codes in case.codes.items()}


def span(channels: int, low: int, high: int):
    return np.full(channels, low, np.int64), np.full(channels, high, np.int64)


def drawn(rng, limits, steps: int = STEPS, sequences: int = SEQUENCES) -> np.ndarray:
    """Codes in ``limits``, a third of them at an end."""
    low, high = limits
    shape = sequences, steps, len(low)
    codes = rng.integers(low, high + 1, shape)
    ends = np.where(rng.random(shape) < 0.5, low, high)
    return np.where(rng.random(shape) < 1 / 3, ends, codes).astype(np.int64)


def operation(kind: str, output: str, sources, limits, **more) -> Operation:
    inputs = tuple(sources)
    dims = more.pop("dims", (len(limits[0]),))
    parts = (Part("add", dims, 1, 1, 1),)
    return Operation(output, kind, kind, inputs, output, tuple(sources.values()), limits, dims, parts, **more)


def dense(name: str, given: str, source, weight: np.ndarray) -> Operation:
    limits = ranges.matmul(source, weight)
    return operation("dense", name, {given: source}, limits, constant=weight, dims=weight.shape[::-1])


def counting(name: str, given: str, source, thresholds: np.ndarray, bias: int) -> Operation:
    channels = len(source[0])
    rows = compile_rows(thresholds, bias, *source, {})
    limits = span(channels, bias, bias + thresholds.shape[1])
    return operation("thresholds", name, {given: source}, limits, constant=thresholds, bias=bias, rows=rows)


def scan(name: str, given: str, source, parameters: dict[str, np.ndarray], state_bits: int) -> Operation:
    heads, modes = parameters["a_re"].shape
    limits = output_ranges(parameters, *source, state_bits)
    shape = ScanShape(heads, modes, state_bits, (1,) * 7, (1, 1, 1))
    return operation("scan", name, {given: source}, limits, parameters=parameters, shape=shape, dims=(heads, modes))
