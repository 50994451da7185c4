"""From graph to stages: which tensors are stored, and the sum, product or thresholds that make each of them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..dataflow import forms
from ..dataflow.forms import Form
from ..dataflow.rows import Row, compile_row
from ..dataflow.states import successor
from ..errors import ExportError
from .graph import ADVICE, IntegerGraph, Node

# A sum that several nodes read is stored rather than repeated when it has more terms than this.
REPEATED = 4
INT16 = np.iinfo(np.int16)


@dataclass(frozen=True, eq=False)
class Stored:
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
    rows: list[Row] = field(default_factory=list)
    factors: tuple[str, str] | None = None


class Stages:
    """``order`` lists the stages as they must run, ``stored`` the tensors, ``steps`` how many steps are safe.

    With ``fused``, chains of linear nodes become one sum each; without, every node is a stage. Running sums (states
    with no thresholds) may grow to ``growth`` times their annotated range.
    """

    def __init__(self, graph: IntegerGraph, traced: tuple[str, ...] = (), fused: bool = True, growth: int = 1):
        self.graph, self.fused, self.growth = graph, fused, growth
        self.needed = graph.ancestors([*graph.outputs, *traced])
        self.kept = {*graph.outputs, *traced}
        self.uses: dict[str, list[Node]] = {}
        for node in graph.nodes:
            if node.output in self.needed:
                for name in node.inputs:
                    self.uses.setdefault(name, []).append(node)
        self.stored: dict[str, Stored] = {}
        self.forms: dict[str, Form] = {}
        self.order: list[Stage] = []
        # By row number, for all stored tensors.
        self.low, self.high, self.wide = np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, bool)
        self._state_before = {successor(state): state for state in graph.states}
        self._compiled: dict[tuple, Row] = {}
        for name in graph.inputs:
            low, high = graph.ranges[name]
            factor = growth if self.is_running_sum(name) else 1
            channels = graph.channels[name]
            self._store(name, np.full(channels, low * factor), np.full(channels, high * factor))
        for node in graph.nodes:
            if node.output in self.needed:
                try:
                    self._visit(node)
                except ValueError as error:
                    raise ExportError(f"{node.output}: the shapes of its operands do not fit: {ADVICE}") from error
        self.steps = min([self._safe_steps(name) for name in graph.states], default=2**62)

    def is_running_sum(self, name: str) -> bool:
        """Whether ``name`` is a state that no thresholds bound."""
        node = self.graph.producers.get(successor(name)) if name in self.graph.states else None
        return node is not None and node.op != "MultiThreshold"

    def _store(self, name: str, low: np.ndarray, high: np.ndarray) -> None:
        first = len(self.low)
        if name in self._state_before:
            wide = self.stored[self._state_before[name]].wide
        else:
            wide = low.min() < INT16.min or high.max() > INT16.max or self.is_running_sum(name)
        self.stored[name] = Stored(first, low, high, bool(wide))
        self.low, self.high = np.concatenate([self.low, low]), np.concatenate([self.high, high])
        self.wide = np.concatenate([self.wide, np.full(len(low), wide)])
        self.forms[name] = forms.stored(first, len(low))

    def _visit(self, node: Node) -> None:
        left, right = node.inputs
        if node.op == "MultiThreshold":
            self._thresholds(node)
        elif node.op == "MatMul":
            if left not in self.stored and self.forms[left].longest > 1:
                self._keep(left)
            kept = self.stored.get(left)
            source = forms.stored(kept.first, len(kept.low)) if kept is not None else self.forms[left]
            self._linear(node.output, forms.matmul(source, self.graph.constants[right]))
        elif node.op == "Mul" and left in self.forms and right in self.forms:
            self._product(node)
        else:
            self._linear(node.output, self._elementwise(node))

    def _elementwise(self, node: Node) -> Form:
        left, right = node.inputs
        if left in self.forms and right in self.forms:
            return forms.total(self.forms[left], self.forms[right], 1 if node.op == "Add" else -1)
        swapped = left not in self.forms
        form, constant = self.forms[right if swapped else left], self.graph.constants[left if swapped else right]
        if node.op == "Mul":
            return forms.scaled(form, constant)
        if node.op == "Add":
            return forms.moved(form, constant)
        return forms.moved(forms.scaled(form, np.array([-1])), constant) if swapped else forms.moved(form, -constant)

    def _linear(self, name: str, form: Form) -> None:
        self.forms[name] = form
        repeated = len(self.uses.get(name, ())) > 1 and form.longest > REPEATED
        if name in self.graph.outputs or not self.fused or repeated:
            self._keep(name)
        elif name in self.kept:
            # A traced sum is stored too, but what reads it stays the fused kernel that is being traced.
            self._keep(name)
            self.forms[name] = form

    def _keep(self, name: str) -> None:
        if name in self.stored:
            return
        form = self.forms[name]
        low, high = form.bounds(self.low, self.high, name)
        self.order.append(Stage(name, form, low, high))
        self._store(name, low, high)

    def _product(self, node: Node) -> None:
        for name in node.inputs:
            self._keep(name)
        left, right = (self.stored[name] for name in node.inputs)
        if len(left.low) != len(right.low):
            raise ExportError(f"{node.output}: the factors have {len(left.low)} and {len(right.low)} channels")
        magnitudes = [np.maximum(np.abs(side.low), np.abs(side.high)).astype(np.float64) for side in (left, right)]
        if np.any(magnitudes[0] * magnitudes[1] >= 2.0**62):
            raise ExportError(f"{node.output}: its products need more than 63 bits: choose narrower formats")
        corners = [a * b for a in (left.low, left.high) for b in (right.low, right.high)]
        low, high = np.minimum.reduce(corners), np.maximum.reduce(corners)
        self.order.append(Stage(node.output, None, low, high, factors=node.inputs))
        self._store(node.output, low, high)

    def _thresholds(self, node: Node) -> None:
        form = self.forms[node.inputs[0]]
        low, high = form.bounds(self.low, self.high, node.inputs[0])
        levels = self.graph.constants[node.inputs[1]]
        if levels.ndim != 2 or levels.shape[0] not in (1, form.channels) or np.any(np.diff(levels, axis=1) < 0):
            raise ExportError(f"{node.output}: its thresholds are not one ascending row a channel: {ADVICE}")
        rows = []
        for c in range(form.channels):
            row = levels[c if len(levels) > 1 else 0]
            key = (row.tobytes(), node.bias, int(low[c]), int(high[c]))
            if key not in self._compiled:
                self._compiled[key] = compile_row(row, *key[1:])
            rows.append(self._compiled[key])
        self.order.append(Stage(node.output, form, low, high, rows))
        self._store(node.output, np.array([row.low for row in rows]), np.array([row.high for row in rows]))

    def _safe_steps(self, state: str) -> int:
        """Steps after which ``state`` may leave the range that everything reading it was compiled for."""
        follower = successor(state)
        low, high = self.stored[state].low, self.stored[state].high
        if not self.is_running_sum(state):
            if np.any(self.stored[follower].low < low) or np.any(self.stored[follower].high > high):
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
