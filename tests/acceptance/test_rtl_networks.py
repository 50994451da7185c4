"""Networks drawn at random at foldings drawn at random, as RTL in Verilator: every code is the network's own, and every
cycle the one foretold."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from ssmq_export import rtl
from ssmq_export.dataflow.folding import Folding, fold, foldings_of
from ssmq_export.dataflow.graph import DataflowGraph
from ssmq_export.dataflow.ports import values_of
from ssmq_export.estimates import Estimate, estimate_graph, find_part
from ssmq_export.lowering import collapse, lower
from ssmq_export.rtl.build import Design, build
from ssmq_export.rtl.names import Names
from ssmq_export.rtl.schedule import queued, total_cycles
from test_drawn_networks import COUNT, drawn

sys.path.insert(0, str(Path(__file__).parents[1] / "ssmq_export" / "rtl"))
from bench import elements, side_by_side  # noqa: E402

FOLDINGS = 3


@dataclass
class Network:
    design: Design
    # None: an estimate is of a chain.
    estimate: Estimate | None
    codes: np.ndarray
    expected: np.ndarray
    exponent: np.ndarray
    each_step: bool


def divisor(rng, size: int) -> int:
    return int(rng.choice([n for n in range(1, size + 1) if size % n == 0]))


def lanes(rng, operation) -> tuple[int, ...]:
    """Lanes of every dimension; a scan does several heads only where it does all their modes."""
    found = tuple(divisor(rng, size) for size in operation.dims)
    if operation.kind == "scan":
        heads, modes = found
        return (heads if modes == operation.dims[1] else 1, modes)
    return found


def network(k: int, folding: int, names: Names) -> Network:
    step, codes, expected = drawn(k)
    model = collapse(lower(step))
    graph = DataflowGraph(model)
    rng = np.random.default_rng(100 * k + folding)
    chosen = [Folding(lanes(rng, operation)) for operation in graph.operations]
    if not folding:
        chosen = [Folding((1,) * len(operation.dims)) for operation in graph.operations]
    # As a graph keeps them.
    folded = fold(model, graph.operations, chosen)
    design, port = queued(build(graph, foldings_of(folded, graph.operations), names)), graph.ports.output
    estimate = estimate_graph(folded, find_part("xc7z020"))
    return Network(design, estimate, codes, expected[port.name], port.format.exponent, bool(port.each_step))


def simulated(networks: list[Network], folder: Path, **pauses):
    inputs = {f"case{n}_in": one.design.given for n, one in enumerate(networks)}
    outputs = {f"case{n}_out": one.design.result for n, one in enumerate(networks)}
    simulator = side_by_side([one.design.cells for one in networks], inputs, outputs, folder)
    given = [elements(one.codes.astype(np.int64)) for one in networks]
    counts = [one.expected.size for one in networks]
    return [simulator.run(given, counts, patience=20000, **pause) for pause in (pauses, {"gap": 0.4, "stall": 0.4, "seed": 3})]


def check(networks: list[Network], folder: Path) -> None:
    steady, stalled = simulated(networks, folder)
    for one, found, other in zip(networks, steady, stalled, strict=True):
        for beats in (found, other):
            values = values_of(beats.elements.reshape(one.expected.shape), one.exponent)
            np.testing.assert_array_equal(values, one.expected)
    for one, found in zip(networks, steady, strict=True):
        batch, steps = one.codes.shape[:2]
        assert int(found.cycles[-1]) + 1 == total_cycles(one.design, batch, steps)[0]
        if one.estimate is not None:
            # What was estimated of the graph: sequence by sequence.
            ends = found.cycles.reshape(batch, -1)[:, -1]
            alone, between = one.estimate.timing.of_sequence(steps)
            assert ends[0] + 1 == alone and set(np.diff(ends)) <= {between}


@pytest.mark.skipif(not rtl.available(), reason=rtl.INSTALL)
@pytest.mark.parametrize(
    "numbers", [(2,), *(pytest.param((k,), marks=pytest.mark.slow) for k in range(COUNT) if k != 2)], ids=str
)
def test_every_code_and_every_cycle(numbers, tmp_path):
    names = Names()
    check([network(k, folding, names) for k in numbers for folding in range(FOLDINGS)], tmp_path)
