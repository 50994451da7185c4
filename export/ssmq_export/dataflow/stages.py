"""From graph to stages: which tensors are stored, and the sum, product or thresholds that make each of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import ExportError
from . import forms
from .forms import Form
from .graph import DataflowGraph
from .operation import COUNTS, FACTORS, MATRICES, Operation
from .recognition import ADVICE
from .rows import Row, compile_rows

# A sum that several nodes read is stored rather than repeated when it has more terms than this.
REPEATED = 4
INT16 = np.iinfo(np.int16)


@dataclass(frozen=True, eq=False)
class Slot:
    """A tensor that is kept: its rows are numbered from ``first``, its codes lie in ``low .. high`` ``(channels,)``.

    ``wide`` says that int16 does not hold them.
    """

    first: int
    low: np.ndarray
    high: np.ndarray
    wide: bool

    @property
    def span(self) -> slice:
        return slice(self.first, self.first + len(self.low))

    def reads(self, rows: np.ndarray) -> np.ndarray:
        """Which of ``rows`` are rows of this tensor."""
        return (rows >= self.first) & (rows < self.span.stop)


@dataclass(frozen=True, eq=False)
class Stage:
    """What makes the stored tensor ``output``: the product of ``factors``, or ``form`` through ``rows`` if any.

    ``low`` and ``high`` ``(channels,)`` bound the sum or product itself.
    """

    output: str
    form: Form | None
    low: np.ndarray
    high: np.ndarray
    rows: tuple[Row, ...] = ()
    factors: tuple[str, str] | None = None

    @property
    def sum(self) -> Form:
        """The form of what is no product."""
        assert self.form is not None, self.output
        return self.form


class Stages:
    """``order`` lists the stages as they must run, ``slots`` the tensors, ``steps`` how many steps are safe.

    With ``fused``, chains of linear nodes become one sum each; without, every node is a stage. A sum of more than
    ``repeated`` terms that several nodes read is stored. Running sums (kept with no thresholds) may grow to ``growth`` times
    their annotated range.
    """

    def __init__(
        self,
        graph: DataflowGraph,
        traced: tuple[str, ...] = (),
        fused: bool = True,
        growth: int = 1,
        repeated: int = REPEATED,
    ):
        self.graph, self.fused, self.growth, self.repeated = graph, fused, growth, repeated
        self.successors = graph.ports.successors
        self.needed = graph.ancestors([*graph.outputs, *traced])
        self.kept = {*graph.outputs, *traced}
        self.readers: dict[str, int] = {}
        operations = [operation for operation in graph.operations if operation.output in self.needed]
        for operation in operations:
            for name in operation.inputs:
                self.readers[name] = self.readers.get(name, 0) + 1
        self.slots: dict[str, Slot] = {}
        self.forms: dict[str, Form] = {}
        self.order: list[Stage] = []
        # By row number, for all stored tensors.
        self.low, self.high, self.wide = np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, bool)
        self._before = {after: before for before, after in self.successors.items()}
        for name in graph.inputs:
            low, high = graph.limits[name]
            factor = growth if self.is_running_sum(name) else 1
            channels = graph.channels[name]
            self._store(name, np.full(channels, low * factor), np.full(channels, high * factor))
        for operation in operations:
            self._visit(operation)
        self.steps = min([self._safe_steps(name) for name in self.successors], default=2**62)

    def is_running_sum(self, name: str) -> bool:
        """Whether ``name`` is kept and no thresholds bound what it becomes."""
        operation = self.graph.producers.get(self.successors.get(name, ""))
        return operation is not None and operation.kind not in COUNTS

    def _store(self, name: str, low: np.ndarray, high: np.ndarray) -> None:
        first = len(self.low)
        if name in self._before:
            wide = self.slots[self._before[name]].wide
        else:
            wide = low.min() < INT16.min or high.max() > INT16.max or self.is_running_sum(name)
        self.slots[name] = Slot(first, low, high, bool(wide))
        self.low, self.high = np.concatenate([self.low, low]), np.concatenate([self.high, high])
        self.wide = np.concatenate([self.wide, np.full(len(low), wide)])
        self.forms[name] = forms.identity(first, len(low))

    def _visit(self, operation: Operation) -> None:
        if operation.kind in COUNTS:
            self._thresholds(operation)
        elif operation.kind == "product":
            self._product(operation)
        elif operation.kind in MATRICES:
            (source,) = operation.inputs
            if source not in self.slots and self.forms[source].longest > 1:
                self._keep(source)
            kept = self.slots.get(source)
            form = forms.identity(kept.first, len(kept.low)) if kept is not None else self.forms[source]
            self._linear(operation.output, forms.matmul(form, operation.fixed))
        else:
            self._linear(operation.output, self._elementwise(operation))

    def _elementwise(self, operation: Operation) -> Form:
        operands = [self.forms[name] for name in operation.inputs]
        if operation.kind == "sum":
            left, right = operands
            return forms.total(left, right, operation.sign)
        (operand,) = operands
        if operation.kind in FACTORS:
            return forms.scaled(operand, operation.fixed)
        return forms.moved(forms.scaled(operand, np.array([operation.sign])), operation.fixed)

    def _linear(self, name: str, form: Form) -> None:
        self.forms[name] = form
        repeated = self.readers.get(name, 0) > 1 and form.longest > self.repeated
        if name in self.graph.outputs or not self.fused or repeated:
            self._keep(name)
        elif name in self.kept:
            # A traced sum is stored too, but what reads it stays the fused kernel that is being traced.
            self._keep(name)
            self.forms[name] = form

    def _keep(self, name: str) -> None:
        if name in self.slots:
            return
        form = self.forms[name]
        low, high = form.bounds(self.low, self.high, name)
        self.order.append(Stage(name, form, low, high))
        self._store(name, low, high)

    def _product(self, operation: Operation) -> None:
        first, second = operation.inputs
        for name in (first, second):
            self._keep(name)
        left, right = self.slots[first], self.slots[second]
        magnitudes = [np.maximum(np.abs(side.low), np.abs(side.high)).astype(np.float64) for side in (left, right)]
        if np.any(magnitudes[0] * magnitudes[1] >= 2.0**62):
            raise ExportError(f"{operation.output}: its products need more than 63 bits: choose narrower formats")
        corners = [a * b for a in (left.low, left.high) for b in (right.low, right.high)]
        low, high = np.minimum.reduce(corners), np.maximum.reduce(corners)
        self.order.append(Stage(operation.output, None, low, high, factors=(first, second)))
        self._store(operation.output, low, high)

    def _thresholds(self, operation: Operation) -> None:
        (source,) = operation.inputs
        form = self.forms[source]
        low, high = form.bounds(self.low, self.high, source)
        rows = compile_rows(operation.fixed, operation.bias, low, high, self.graph.compiled)
        self.order.append(Stage(operation.output, form, low, high, rows))
        self._store(operation.output, np.array([row.low for row in rows]), np.array([row.high for row in rows]))

    def _safe_steps(self, state: str) -> int:
        """Steps after which ``state`` may leave the range that everything reading it was compiled for."""
        follower = self.successors[state]
        low, high = self.slots[state].low, self.slots[state].high
        if not self.is_running_sum(state):
            if np.any(self.slots[follower].low < low) or np.any(self.slots[follower].high > high):
                raise ExportError(f"{follower}: its codes leave the annotated range of {state}: {ADVICE}")
            return 2**62
        form = next(stage.form for stage in self.order if stage.output == follower)
        own = self.forms[state]
        rest = None if form is None else forms.total(form, own, -1)
        if rest is None or np.any(np.isin(rest.row, own.row)) or rest.channels != own.channels:
            raise ExportError(f"{follower}: neither thresholds nor a running sum bound this state: {ADVICE}")
        smallest, largest = rest.bounds(self.low, self.high, follower)
        most = [high[largest > 0] // largest[largest > 0], low[smallest < 0] // smallest[smallest < 0]]
        safe = int(min([2**62, *np.concatenate(most).tolist()]))
        if not safe:
            raise ExportError(f"{follower}: one step may leave the annotated range of {state}: {ADVICE}")
        return safe
