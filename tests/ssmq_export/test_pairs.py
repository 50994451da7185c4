"""The complex recurrence is recognised by its structure alone, and nothing that only looks like it."""

from __future__ import annotations

import numpy as np
import pytest
from hand_graphs import dataflow
from ssmq_export.dataflow.graph import DataflowGraph
from ssmq_export.dataflow.stages import Stages
from ssmq_export.integer import IntegerModel
from ssmq_export.integer.pairs import complex_pairs
from ssmq_export.lowering.graph import Graph

CHANNELS = 2
ROUNDING = 16 * np.arange(-7, 8) - 8 + np.arange(-7, 8) % 2
A_RE, A_IM, B_RE, B_IM = [[14, -9]], [[5, 11]], [[1, 2]], [[-3, 1]]


class Layer:
    """One complex recurrence; ``changes`` name what is unlike it."""

    def __init__(self, **changes):
        self.changes = changes

    def get(self, name, usual):
        return self.changes.get(name, usual)

    def draw(self, g) -> None:
        for name, channels in (("u", 1), ("x_re_0", CHANNELS), ("x_im_0", CHANNELS)):
            g.input(name, channels)
        re, im = "x_re_0", "x_im_0"

        def times(source, name, values):
            return g.node("Mul", [source, g.constant(f"{name}_factor", values)], name, CHANNELS)

        g.node("MatMul", ["u", g.constant("b_re", self.get("b_re", B_RE))], "bu_re", CHANNELS)
        g.node("MatMul", [self.input_of_im(g), g.constant("b_im", self.get("b_im", B_IM))], "bu_im", CHANNELS)
        g.node("Sub", [times(re, "rr", A_RE), times(im, "ri", A_IM)], "ax_re", CHANNELS)
        g.node("Add", [self.own(g, times, im), times(re, "ir", A_IM)], "ax_im", CHANNELS)
        for part in ("re", "im"):
            sums = g.node("Add", [f"ax_{part}", f"bu_{part}"], f"sum_{part}", CHANNELS)
            if part == "im" and self.get("reads_first", False):
                sums = g.node("Add", [sums, "x_re_next_0"], "sum_both", CHANNELS)
            rows = g.constant(f"rows_{part}", np.atleast_2d(self.get(f"rows_{part}", ROUNDING)))
            attributes = {"out_dtype": "INT4", "out_scale": 1.0, "out_bias": -8.0}
            g.node("MultiThreshold", [sums, rows], f"x_{part}_next_0", CHANNELS, "qonnx.custom_op.general", **attributes)
        reader = self.get("reader", "x_im_next_0")
        g.node("MatMul", [reader, g.constant("c", [[3], [-2]])], "cx", 1)
        g.node("MatMul", ["x_re_next_0", g.constant("d", [[1], [4]])], "dx", 1)
        g.output(g.node("Add", ["cx", "dx"], "logits", 1), 1)
        for name in ("x_re_next_0", "x_im_next_0"):
            g.output(name, CHANNELS)

    def own(self, g, times, im):
        if self.get("mixes", False):
            return g.node("MatMul", [im, g.constant("mix", [[14, 1], [0, -9]])], "own", CHANNELS)
        return times(im, "ii", self.get("a_ii", A_RE))

    def input_of_im(self, g):
        if not self.get("own_input", False):
            return "u"
        rows = g.constant("halves", [[64.0, 128.0]])
        attributes = {"out_dtype": "UINT2", "out_scale": 1.0, "out_bias": 0.0}
        return g.node("MultiThreshold", ["u", rows], "level", 1, "qonnx.custom_op.general", **attributes)

    def model(self):
        kinds = {
            "u": "UINT8",
            "x_re_0": "INT4",
            "x_im_0": "INT4",
            "x_re_next_0": "INT4",
            "x_im_next_0": "INT4",
            "level": "UINT2",
        }
        graph = dataflow(self.draw, **kinds)
        fits: Graph = graph
        fits.datatypes.update({name: "INT40" for name in {*graph.infos, *graph.constants} - kinds.keys()})
        fits.exponents["logits"] = np.array(0)
        return fits.model()


def pairs(**changes):
    graph = DataflowGraph(Layer(**changes).model())
    return complex_pairs(Stages(graph))


BOTH = {"x_re_0": ("x_re_0", "x_im_0"), "x_im_0": ("x_re_0", "x_im_0")}
LEVELS = np.arange(-7, 8)
RECOGNISED = {
    "the recurrence": {},
    # A pair of rows need not be a complex product: four weights a channel are stored.
    "a weight of its own": {"a_ii": [[14, -8]]},
    "another input weight": {"b_im": [[0, 0]]},
    "another shift in one part": {"rows_im": 32 * LEVELS - 16 + LEVELS % 2},
    "rounded half up": {"rows_re": 16 * LEVELS - 8},
    "a shift a channel": {"rows_re": [ROUNDING, 32 * LEVELS - 16 + LEVELS % 2]},
    "16-bit weights": {"a_ii": [[32767, -32768]]},
}
REFUSED = {
    "a weight past 16 bits": {"a_ii": [[32768, 1]]},
    "a negative weight past 16 bits": {"a_ii": [[1, -32769]]},
    "an input weight past 16 bits": {"b_re": [[40000, 1]]},
    "thresholds that are no rounding": {"rows_re": np.sort(np.r_[ROUNDING[:-1], ROUNDING[-1] + 5])},
    "no rounding in one channel": {"rows_im": [ROUNDING, ROUNDING * 3 // 2]},
    "an input of its own": {"own_input": True},
    "modes that mix": {"mixes": True},
    "a state that something else reads": {"reader": "x_im_0"},
    "the imaginary part reads the new real part": {"reads_first": True},
}


@pytest.mark.parametrize("changes", RECOGNISED.values(), ids=RECOGNISED)
def test_what_runs_in_place(changes):
    assert pairs(**changes) == BOTH


@pytest.mark.parametrize("changes", REFUSED.values(), ids=REFUSED)
def test_what_does_not(changes):
    assert pairs(**changes) == {}


def test_a_traced_state_runs_as_a_sum():
    graph = DataflowGraph(Layer().model())
    for traced, expected in ((("x_re_0",), {}), (("x_im_0",), {}), (("x_re_next_0",), BOTH)):
        assert complex_pairs(Stages(graph, traced)) == expected


def by_hand(changes, codes: np.ndarray) -> np.ndarray:
    """Logits after every step of one sequence, in Python's integers."""
    get = lambda name, usual: np.broadcast_to(changes.get(name, usual), (1, CHANNELS))[0].tolist()  # noqa: E731
    a_ii, b_re, b_im = get("a_ii", A_RE), get("b_re", B_RE), get("b_im", B_IM)
    rows = [np.broadcast_to(changes.get(f"rows_{part}", ROUNDING), (CHANNELS, 15)) for part in ("re", "im")]
    re, im, found = [0] * CHANNELS, [0] * CHANNELS, []
    for u in codes.tolist():
        level = (u >= 64) + (u >= 128) if changes.get("own_input") else u
        old_re, old_im = list(re), list(im)
        for c in range(CHANNELS):
            total = A_RE[0][c] * old_re[c] - A_IM[0][c] * old_im[c] + b_re[c] * u
            re[c] = -8 + sum(total >= row for row in rows[0][c].tolist())
        for c in range(CHANNELS):
            own = a_ii[c] * old_im[c] + (old_im[0] if changes.get("mixes") and c == 1 else 0)
            total = own + A_IM[0][c] * old_re[c] + b_im[c] * level + (re[c] if changes.get("reads_first") else 0)
            im[c] = -8 + sum(total >= row for row in rows[1][c].tolist())
        read = old_im if changes.get("reader") == "x_im_0" else im
        found.append(3 * read[0] - 2 * read[1] + re[0] + 4 * re[1])
    return np.array(found)


@pytest.mark.parametrize("changes", [*RECOGNISED.values(), *REFUSED.values()], ids=[*RECOGNISED, *REFUSED])
def test_every_code_is_right_whether_it_is_recognised_or_not(changes):
    model = Layer(**changes).model()
    codes = np.random.default_rng(3).integers(0, 256, 40, dtype=np.uint8)
    codes[10:20] //= 16
    expected = by_hand(changes, codes)
    assert len(np.unique(expected)) > 5
    for fused in (True, False):
        integers = IntegerModel(model, fused)
        integers.reset(1)
        stream = [int(integers.step(codes[t : t + 1])[0, 0]) for t in range(len(codes))]
        assert stream == expected.tolist()
