"""Collapse, rule by rule: what becomes one DiagonalScan with which parameters, and what is refused by name."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hand_graphs import attribute, dataflow
from onnx import numpy_helper
from ssmq_export.dataflow.datatype import integer_type
from ssmq_export.dataflow.diagonal_scan import output_range
from ssmq_export.dataflow.keys import PORTS_KEY
from ssmq_export.dataflow.scan_operands import INPUTS
from ssmq_export.errors import ExportError
from ssmq_export.lowering import collapse
from ssmq_export.verification.engines import run_steps, run_whole
from with_ports import with_ports

HEADS, MODES, LENGTH = 2, 3, 7
SIZE = HEADS * MODES
rng = np.random.default_rng(5)
A_RE, A_IM, B_RE, B_IM, C_RE, C_IM = (rng.integers(-9, 10, (HEADS, MODES)) for _ in range(6))
A_RE[A_RE == 0] = A_IM[A_IM == 0] = 4
D = np.array([3, -2])
LEVELS = np.arange(-7, 8)
OF = np.repeat(np.arange(HEADS), MODES)


def rounding(shift):
    """One row a channel, or one for all."""
    shift = np.reshape(shift, (-1, 1))
    return (LEVELS << shift) - ((1 << shift) >> 1) + np.where(shift > 0, LEVELS % 2, 0)


def spread(values):
    matrix = np.zeros((HEADS, SIZE))
    matrix[OF, np.arange(SIZE)] = values.ravel()
    return matrix


class Step:
    """A step of one layer; ``changes`` replace a number by name or switch something on."""

    def __init__(self, **changes):
        self.changes = changes

    def has(self, name, usual=False):
        return self.changes.get(name, usual)

    def counted(self, g, source, output, rows, channels, bias=-8):
        attributes = {"out_dtype": "INT4", "out_scale": 1.0, "out_bias": float(bias), "data_layout": "NC"}
        rows = g.constant(f"{output}_thresholds", rows)
        return g.node("MultiThreshold", [source, rows], output, channels, "qonnx.custom_op.general", **attributes)

    def draw(self, g) -> None:
        for name, channels in (("u", 1), ("x_re_0", SIZE), ("x_im_0", SIZE), ("pool", HEADS)):
            g.input(name, channels)
        encoded = g.node("MatMul", ["u", g.constant("encoder", ((1, -1),))], "encoded", HEADS)
        u = self.counted(g, encoded, "u_0", (LEVELS * 30 + 5)[None], HEADS)
        y = self.layer(g, u)
        after = self.counted(g, y, "u_1", (LEVELS * 9)[None], HEADS)
        summed = "encoded" if self.has("pools_something_else") else after
        operands = [summed, "pool"] if self.has("pool_last") else ["pool", summed]
        g.node(self.has("pool_op", "Add"), operands, "pool_next", HEADS)
        read = "pool" if self.has("reads_pool") else "pool_next"
        pooled = self.counted(g, read, "pooled", (LEVELS * 3)[None], HEADS)
        if self.has("reads_state_twice"):
            pooled = g.node(
                "Add",
                [pooled, g.node("MatMul", ["x_re_next_0", g.constant("other", spread(C_RE).T)], "o", HEADS)],
                "both",
                HEADS,
            )
        g.output(g.node("MatMul", [pooled, g.constant("decoder", ((1, 2, 3), (4, 5, -6)))], "logits", 3), 3)
        for name, channels in (("x_re_next_0", SIZE), ("x_im_next_0", SIZE), ("pool_next", HEADS)):
            g.output(name, channels)

    def layer(self, g, u) -> str:
        def times(source, name, values):
            return g.node("Mul", [source, g.constant(f"{name}_factor", np.reshape(values, (1, -1)))], name, SIZE)

        re, im, source, gain = "x_re_0", "x_im_0", u, self.has("gain", 1)
        ax = {
            "re": g.node("Sub", [times(re, "rr", A_RE * gain), times(im, "ri", A_IM * gain)], "ax_re", SIZE),
            "im": g.node(
                "Add",
                [times(im, "ii", self.has("a_ii", A_RE) * gain), times(re, "ir", self.has("a_ir", A_IM) * gain)],
                "ax_im",
                SIZE,
            ),
        }
        for part, values in (("re", self.has("b_re", B_RE)), ("im", self.has("b_im", B_IM))):
            matrix = values if np.shape(values) == (HEADS, SIZE) else spread(values * gain)
            driven = g.node("MatMul", [source, g.constant(f"b_{part}", matrix)], f"bu_{part}", SIZE)
            sums = g.node("Add", [ax[part], driven], f"sum_{part}", SIZE)
            if part == "re" and self.has("bias"):
                sums = g.node("Add", [sums, g.constant("bias", np.eye(1, SIZE))], "biased", SIZE)
            rows = rounding(self.has(f"shift_{part}", self.has("shift", 5)))
            rows = self.has(f"rows_{part}", rows)
            self.counted(g, sums, f"x_{part}_next_0", rows, SIZE, self.has(f"bias_{part}", -8))
            source = self.other_input(g, u) if self.has("two_inputs") else u
        return self.out(g, u)

    def other_input(self, g, u):
        return self.counted(g, "encoded", "v_0", (LEVELS * 20)[None], HEADS)

    def out(self, g, u) -> str:
        new_im = "x_im_0" if self.has("reads_old") else "x_im_next_0"
        c_re, c_im = (np.reshape(self.has(f"c_{part}", spread(c).T), (SIZE, HEADS)) for part, c in (("re", C_RE), ("im", C_IM)))
        if self.has("squares"):
            return g.node("MatMul", [g.node("Mul", ["x_re_next_0", new_im], "xx", SIZE), g.constant("c_re", c_re)], "y", HEADS)
        cx = [
            g.node("MatMul", [x, g.constant(f"c_{p}", c)], f"cx_{p}", HEADS)
            for x, p, c in (("x_re_next_0", "re", c_re), (new_im, "im", c_im))
        ]
        y = g.node("Sub", cx, "cx", HEADS)
        du = g.node("Mul", [u, g.constant("d", D[None])], "du", HEADS)
        if self.has("forgets"):
            return du
        y = g.node("Add", [y, du], "y", HEADS)
        return g.node("Add", [y, g.constant("c0", ((1, 0),))], "y_moved", HEADS) if self.has("offset") else y

    def model(self) -> onnx.ModelProto:
        state = self.has("state", "INT4")
        kinds = {"u": "UINT8", "x_re_0": state, "x_im_0": state, "pool": "INT9", "pool_next": "INT9"}
        kinds |= dict.fromkeys(("u_0", "v_0", "u_1", "pooled"), "INT4")
        kinds |= {"x_re_next_0": self.has("state_re", state), "x_im_next_0": self.has("state_im", state)}
        graph = dataflow(self.draw, double=self.has("gain"), **kinds)
        graph.datatypes = {name: kind for name, kind in graph.datatypes.items() if name in graph.infos}
        for name in {*graph.infos, *graph.constants} - graph.datatypes.keys():
            graph.datatypes[name] = "INT56"
        for name in graph.infos:
            graph.exponents.setdefault(name, np.array(0))
        graph.properties["ssmq.length"] = str(LENGTH)
        return with_ports(graph.model(), HEADS)


def parameters(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    (scan,) = [node for node in model.graph.node if node.op_type == "DiagonalScan"]
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    return {name: arrays[tensor] for name, tensor in zip(INPUTS[1:], scan.input[1:], strict=True)}


def shape(model, name) -> list[int]:
    (info,) = [i for i in [*model.graph.input, *model.graph.output, *model.graph.value_info] if i.name == name]
    return [d.dim_value for d in info.type.tensor_type.shape.dim]


def test_rule_1_a_layer_is_one_scan_with_its_parameters():
    model = collapse(Step().model())
    (scan,) = [node for node in model.graph.node if node.op_type == "DiagonalScan"]
    found = parameters(model)
    expected = {"a_re": A_RE, "a_im": A_IM, "b_re": B_RE, "b_im": B_IM, "c_re": C_RE, "c_im": C_IM, "d": D, "shift": [5]}
    for name, values in expected.items():
        assert found[name].tolist() == np.asarray(values).tolist(), name
    assert (scan.input[0], scan.output[0], scan.name) == ("u_0", "y", "DiagonalScan_y")
    assert (attribute(scan, "state_bits"), attribute(scan, "PE")) == (4, 1)
    notes = {n.tensor_name: n.quant_parameter_tensor_names[0].value for n in model.graph.quantization_annotation}
    for name, tensor in zip(INPUTS[1:], scan.input[1:], strict=True):
        assert notes[tensor] == integer_type(int(found[name].min()), int(found[name].max())), name
    assert notes["y"] == integer_type(*output_range(found, -8, 7, 4))
    onnx.checker.check_model(model)


def test_rules_2_to_4_the_rest_of_the_graph():
    model = collapse(Step().model())
    assert [node.op_type for node in model.graph.node] == [
        "MatMul", "MultiThreshold", "DiagonalScan", "MultiThreshold", "ReduceSum", "MultiThreshold", "MatMul"
    ]  # fmt: skip
    assert [p.name for p in model.graph.input] == ["u"] and [p.name for p in model.graph.output] == ["logits"]
    (summed,) = [node for node in model.graph.node if node.op_type == "ReduceSum"]
    assert list(summed.input) == ["u_1", "time_axes"] and list(summed.output) == ["pool_next"]
    assert (summed.name, attribute(summed, "keepdims")) == ("ReduceSum_pool_next", 1)
    axes = numpy_helper.to_array(next(t for t in model.graph.initializer if t.name == "time_axes"))
    assert axes.tolist() == [1, 2] and axes.dtype == np.int64
    for name, steps, channels in (
        ("u", 7, 1),
        ("u_0", 7, 2),
        ("y", 7, 2),
        ("u_1", 7, 2),
        ("pool_next", 1, 2),
        ("logits", 1, 3),
    ):
        assert shape(model, name) == [1, steps, 1, channels], name
    assert {attribute(node, "data_layout") for node in model.graph.node if node.op_type == "MultiThreshold"} == {b"NHWC"}
    assert {(o.domain, o.version) for o in model.opset_import if o.domain.startswith("ssmq")} != set()
    assert model.graph.name == "sequence_dataflow"
    properties = {p.key: p.value for p in model.metadata_props}
    assert properties["ssmq.form"] == "sequence-dataflow"


SHIFTS = np.array([3, 5, 6, 5, 4, 0])
SAME = {
    "the layer": {},
    "a shift a mode": {"shift": SHIFTS},
    "no shift": {"shift": 0},
    "a large shift": {"shift": 9},
    "the pool's port second": {"pool_last": True},
    "real parameters": {"a_ir": A_IM, "b_im": B_IM * 0},
    "no read-out of one part": {"c_im": np.zeros((SIZE, HEADS))},
}


@pytest.mark.parametrize("changes", SAME.values(), ids=SAME)
def test_every_code_of_the_sequence(changes):
    step = Step(**changes).model()
    values = np.random.default_rng(1).integers(0, 256, (5, LENGTH))
    values[0] = 255
    expected = run_steps(step, values, ["u_0", "y", "u_1"])
    found = run_whole(collapse(step), values, ["u_0", "y", "u_1"])
    assert len(np.unique(expected["y"])) > 4
    for name in ("u_0", "y", "u_1", "logits"):
        assert np.array_equal(expected[name], found[name]), name


@pytest.mark.parametrize(("shift", "expected"), [(SHIFTS, SHIFTS.reshape(HEADS, MODES).tolist()), ([4] * SIZE, [4]), (0, [0])])
def test_one_shift_for_the_layer_where_one_fits_all(shift, expected):
    assert parameters(collapse(Step(shift=shift).model()))["shift"].tolist() == expected


def test_the_largest_shift():
    """2**35 times all sums, and 40 in place of 5; one more is past the operator's."""
    assert parameters(collapse(Step(gain=2**35, shift=40).model()))["shift"].tolist() == [40]
    with pytest.raises(ExportError, match="the thresholds of channel 0 are no rounding shift"):
        collapse(Step(gain=2**36, shift=41).model())


def off_by_one(place):
    rows = np.repeat(rounding(2), SIZE, axis=0)
    rows[2, place] += 1
    return rows


mixing = spread(B_RE)
mixing[1, 0] = 1
crossed = spread(C_RE).T.copy()
crossed[0, 1] = 2
NAMED = {
    "an unlike real part": (
        {"a_ii": A_RE + np.eye(HEADS, MODES, dtype=int)},
        "x_im_next_0: its sum and that of x_re_next_0 are no complex product",
    ),
    "an unlike imaginary part": ({"a_ir": -A_IM}, "x_im_next_0: its sum and that of x_re_next_0 are no complex product"),
    "another head's input": ({"b_re": mixing}, "x_re_next_0: its sum is not diagonal in u_0"),
    "a constant in a state's sum": ({"bias": True}, "x_re_next_0: its sum is not diagonal in x_re_0"),
    "two inputs": ({"two_inputs": True}, "y: its layer reads u_0, v_0 besides its states, not one input"),
    "a read-out of another head": ({"c_re": crossed}, "y: is not a sum over the modes of each head"),
    "a constant in the read-out": ({"offset": True}, "y_moved: is not a sum over the modes of each head"),
    "the states of the step before": ({"reads_old": True}, "u_1: reads the states of the step before"),
    "products of states": ({"squares": True}, "xx: multiplies states; they leave a layer through a sum"),
    "two ways out": ({"reads_state_twice": True}, "x_re_next_0: leaves the layer through y, both, not through one"),
    "no way out": ({"forgets": True}, "leaves the layer through no sum, not through one"),
    **{
        f"level {place} off by one": (
            {"rows_re": off_by_one(place)},
            "x_re_next_0: the thresholds of channel 2 are no rounding shift",
        )
        for place in (0, 4, 7, 9, 14)
    },
    "half up": ({"rows_im": (LEVELS << 5)[None] - 16}, "x_im_next_0: the thresholds of channel 0 are no rounding shift"),
    "two shifts": ({"shift_im": 6}, "x_im_next_0: its rounding is not that of x_re_next_0 \\(channel 0\\)"),
    "another shift in one mode": (
        {"shift_im": [5, 5, 5, 5, 4, 5]},
        "x_im_next_0: its rounding is not that of x_re_next_0 \\(channel 4\\)",
    ),
    "another number of levels": (
        {"rows_re": rounding(5)[:, :-1]},
        "x_re_next_0: the thresholds of channel 0 are no rounding shift",
    ),
    "two formats": ({"state_im": "INT5"}, "x_im_next_0: its format is not that of x_re_next_0"),
    "an unsigned state": ({"state": "UINT4", "bias_re": 0, "bias_im": 0}, "x_re_next_0: UINT4 is no signed format"),
    "a difference over time": ({"pool_op": "Sub", "pool_last": True}, "pool_next: "),
    "a pool with two readers": ({"reads_pool": True}, "pool_next: is no running sum of one tensor over time"),
}


@pytest.mark.parametrize(("changes", "message"), NAMED.values(), ids=NAMED)
def test_what_is_no_recurrence_is_named(changes, message):
    with pytest.raises(ExportError, match=message):
        collapse(Step(**changes).model())


def test_a_graph_that_does_not_name_its_ports_is_refused():
    model = Step().model()
    for entry in list(model.metadata_props):
        if entry.key == PORTS_KEY:
            model.metadata_props.remove(entry)
    with pytest.raises(ExportError, match="ports"):
        collapse(model)
