"""From stages to the arrays that the kernels interpret: where every stored tensor lies and one line an operation."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..dataflow.graph import DataflowGraph
from ..dataflow.rows import ROUND, Row
from ..dataflow.stages import INT16, Stage, Stages
from ..errors import ExportError
from . import kernels as k
from .pairs import complex_pairs


@dataclass
class _Terms:
    """The terms of all sums, one after another; a weight is read from the array its kernel wants."""

    row: list[np.ndarray] = field(default_factory=list)
    weight: list[np.ndarray] = field(default_factory=list)
    count: int = 0

    def add(self, row: np.ndarray, weight: np.ndarray) -> tuple[int, int]:
        start = self.count
        self.row.append(row)
        self.weight.append(weight)
        self.count += len(row)
        return start, self.count


class Program:
    """``arrays`` are the kernel's arguments between the codes and the states, in order.

    ``dtype`` is the accumulators' type. ``narrow`` and ``wide`` count the stored rows of each kind.
    """

    def __init__(self, graph: DataflowGraph, traced: tuple[str, ...] = (), fused: bool = True, growth: int = 1):
        for name in traced:
            if name not in graph.channels:
                raise ExportError(f"{name}: the graph has no such tensor to trace")
        self.graph, self.traced = graph, traced
        self.successors = graph.ports.successors
        self.stages = Stages(graph, traced, fused, growth)
        self.steps = self.stages.steps
        self.pairs = complex_pairs(self.stages) if fused else {}
        self.dtype = self._accumulator()
        self._place()
        self._terms, self._table_rows = _Terms(), 0
        self._tables: list[np.ndarray] = []
        self._table_of: dict[int, int] = {}
        self.arrays = self._written()

    def _accumulator(self) -> type[np.signedinteger]:
        """int32 if every sum, threshold and rounding fits."""
        largest = 0
        for stage in self.stages.order:
            largest = max(largest, -int(stage.low.min()), int(stage.high.max()))
            if stage.form is not None and len(stage.form.weight):
                largest = max(largest, int(np.abs(stage.form.weight).max()), int(np.abs(stage.form.constant).max()))
            for row, low, high in zip(stage.rows, stage.low.tolist(), stage.high.tolist(), strict=bool(stage.rows)):
                if row.kind == ROUND:
                    moved = max(abs(low + row.shift_by), abs(high + row.shift_by), abs(row.shift_by))
                    largest = max(largest, moved + (1 << row.numbers[0]))
        for slot in self.stages.slots.values():
            largest = max(largest, -int(slot.low.min()), int(slot.high.max()))
        if largest >= 2**62:
            raise ExportError("a rounding offset needs more than 63 bits: choose narrower formats")
        return np.int32 if largest < 2**31 - 1 else np.int64

    def _place(self) -> None:
        """Number the narrow and the wide rows; ``row_of`` is by row number of the stages."""
        stages = self.stages
        self.row_of = np.zeros(len(stages.low), np.int64)
        shared = {self.successors[state]: state for state in self.pairs}
        sizes = [0, 0]
        for name, slot in stages.slots.items():
            if name in shared:
                self.row_of[slot.span] = self.row_of[stages.slots[shared[name]].span]
            else:
                self.row_of[slot.span] = sizes[slot.wide] + np.arange(len(slot.low))
                sizes[slot.wide] += len(slot.low)
        self.narrow, self.wide = sizes

    def _written(self) -> tuple:
        graph, slots = self.graph, self.stages.slots
        inside = graph.ancestors([*self.successors.values(), *self.traced])
        lines: dict[bool, list[np.ndarray]] = {True: [], False: []}
        for stage in self.stages.order:
            lines[stage.output in inside] += self._lines(stage)
        copies: dict[bool, list[tuple[int, int]]] = {True: [], False: []}
        for state, after_name in self.successors.items():
            if state not in self.pairs:
                after, before = self._rows(after_name), self._rows(state)
                copies[slots[state].wide] += [(a, b) for (a, _), (b, _) in zip(after, before, strict=True)]
        terms = self._terms
        row = np.concatenate([np.zeros(0, np.int64), *terms.row])
        weight = np.concatenate([np.zeros(0, np.int64), *terms.weight])
        narrow_weight = np.where((weight >= INT16.min) & (weight <= INT16.max), weight, 0).astype(np.int16)
        table = np.concatenate([np.zeros((1, 3), np.int64), *self._tables])
        traced = [row for name in self.traced for row in self._rows(name)]
        return (
            self._rows(graph.ports.input.name)[0],
            _matrix(lines[True] + lines[False], k.COLUMNS),
            len(lines[True]),
            row,
            narrow_weight,
            weight.astype(self.dtype),
            table.astype(self.dtype),
            _matrix(copies[False], 2),
            _matrix(copies[True], 2),
            (self.narrow, self.wide),
            _matrix(self._rows(graph.ports.output.name), 2),
            _matrix(traced, 2),
        )

    def _rows(self, name: str) -> list[tuple[int, int]]:
        """(row, wide) of every channel of a stored tensor."""
        slot = self.stages.slots[name]
        return [(row, int(slot.wide)) for row in self.row_of[slot.span].tolist()]

    def _lines(self, stage: Stage) -> list[np.ndarray]:
        """A line a channel; a pair's lines stand where its imaginary part stood, with both parts known."""
        for re, im in set(self.pairs.values()):
            if stage.output == self.successors[im]:
                first = next(s for s in self.stages.order if s.output == self.successors[re])
                return [self._pair_line(re, im, first, stage, c) for c in range(len(stage.low))]
            if stage.output == self.successors[re]:
                return []
        result = []
        for c, (row, wide) in enumerate(self._rows(stage.output)):
            line = np.zeros(k.COLUMNS, np.int64)
            line[k.OUT], line[k.OUT_WIDE] = row, wide
            if stage.factors:
                left, right = (self._rows(name)[c] for name in stage.factors)
                line[k.KIND] = k.PRODUCT
                line[[k.LEFT, k.LEFT_WIDE]], line[[k.RIGHT, k.RIGHT_WIDE]] = left, right
            else:
                self._sum(line, stage, c)
                if stage.rows:
                    self._threshold(line, stage.rows[c])
            result.append(line)
        return result

    def _sum(self, line: np.ndarray, stage: Stage, c: int) -> None:
        form = stage.sum
        start, stop = np.searchsorted(form.channel, [c, c + 1])
        row, weight = form.row[start:stop], form.weight[start:stop]
        wide = self.stages.wide[row]
        narrow = ~wide & (weight >= INT16.min) & (weight <= INT16.max)
        line[k.KIND], line[k.CONSTANT] = k.SUM, form.constant[c]
        for column, chosen in ((k.NARROW, narrow), (k.MIXED, ~wide & ~narrow), (k.WIDE, wide)):
            line[column : column + 2] = self._terms.add(self.row_of[row[chosen]], weight[chosen])

    def _threshold(self, line: np.ndarray, row: Row) -> None:
        line[k.KIND] = row.kind
        line[k.CONSTANT] += row.shift_by
        line[k.PARAMETER : k.PARAMETER + len(row.numbers)] = row.numbers
        if row.table is not None:
            if id(row) not in self._table_of:
                self._table_of[id(row)] = 1 + self._table_rows
                self._tables.append(row.table)
                self._table_rows += len(row.table)
            line[k.TABLE_START] = self._table_of[id(row)]

    def _pair_line(self, re: str, im: str, first: Stage, second: Stage, c: int) -> np.ndarray:
        line = np.zeros(k.COLUMNS, np.int64)
        line[k.KIND] = k.PAIR
        line[k.RE], line[k.IM] = self._rows(re)[c][0], self._rows(im)[c][0]
        states = [self.stages.slots[name].first + c for name in (re, im)]
        for stage, weights, rounding in ((first, k.RE_WEIGHTS, k.RE_ROUND), (second, k.IM_WEIGHTS, k.IM_ROUND)):
            form, row = stage.sum, stage.rows[c]
            start, stop = np.searchsorted(form.channel, [c, c + 1])
            for source, weight in zip(form.row[start:stop].tolist(), form.weight[start:stop].tolist(), strict=True):
                if source not in states:
                    line[k.INPUT] = self.row_of[source]
                line[weights + (states.index(source) if source in states else 2)] = weight
            line[weights + 3] = form.constant[c] + row.shift_by
            line[rounding : rounding + 5] = row.numbers
        return line


def _matrix(lines: list, columns: int) -> np.ndarray:
    return np.array(lines, np.int64).reshape(len(lines), columns)
