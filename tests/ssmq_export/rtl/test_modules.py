"""Every module of the library, simulated: each code, each flag, each cycle."""

from __future__ import annotations

import numpy as np
import pytest
from bench import Case, bench, counting, dense, drawn, operation, scan, span
from ssmq_export import rtl
from ssmq_export.dataflow import ranges
from ssmq_export.dataflow.rows import first_inputs

needs_tools = pytest.mark.skipif(not rtl.available(), reason=rtl.INSTALL)


def numbers(rng, shape, low, high):
    return rng.integers(low, high + 1, shape).astype(np.int64)


def scan_case(name, rng, heads, modes, lanes, state_bits=6, u=(-8, 7), a_bits=7, drive="shift", shifts=(4, 4), turning=1):
    """Coefficients large enough that states saturate, shifts small enough that ties are frequent."""
    shape = heads, modes
    high = (1 << (a_bits - 1)) - 1
    draw = {
        "shift": lambda: numbers(rng, shape, 0, 1) << numbers(rng, shape, 0, 5),
        "none": lambda: np.zeros(shape, np.int64),
        "product": lambda: numbers(rng, shape, -21, 21),
    }
    real, imaginary = drive if isinstance(drive, tuple) else (drive, "none")
    parameters = {
        "a_re": numbers(rng, shape, -high, high), "a_im": turning * numbers(rng, shape, -high, high), "b_re": draw[real](),
        "b_im": draw[imaginary](), "c_re": numbers(rng, shape, -8, 7), "c_im": numbers(rng, shape, -8, 7),
        "d": numbers(rng, (heads,), -8, 7),
        "shift": numbers(rng, shape if shifts[0] != shifts[1] else (1,), *shifts),
    }  # fmt: skip
    source = span(heads, *u)
    one = scan(f"{name}_y", f"{name}_u", source, parameters, state_bits)
    return Case(name, [one], [lanes], {f"{name}_u": drawn(rng, source, steps=9)})


def joined(name, rng, kind, left, right, lanes, sign=1, shift=None):
    """Two tensors, the first one times a power of two if that is given."""
    codes = {f"{name}_a": drawn(rng, left), f"{name}_b": drawn(rng, right)}
    operations, operands = [], {f"{name}_a": left, f"{name}_b": right}
    if shift is not None:
        factor = np.array([1 << shift])
        moved = operation("shift", f"{name}_s", {f"{name}_a": left}, ranges.product(left, (factor, factor)), constant=factor)
        operations, operands = [moved], {f"{name}_s": moved.limits, f"{name}_b": right}
    sources = tuple(operands.values())
    limits = ranges.product(*sources) if kind == "product" else ranges.total(*sources, sign)
    operations.append(operation(kind, f"{name}_y", operands, limits, sign=sign))
    return Case(name, operations, [(lanes,)] * len(operations), codes)


def residual(name, rng, matrix_lanes, lanes):
    """A tensor with three readers, two ways of which are longer than the third: x + (W x - x)."""
    source = span(4, -8, 7)
    x, wx, less, y = (f"{name}_{part}" for part in ("x", "wx", "less", "y"))
    one = dense(wx, x, source, numbers(rng, (4, 4), -8, 7))
    two = operation("sum", less, {wx: one.limits, x: source}, ranges.total(one.limits, source, -1), sign=-1)
    three = operation("sum", y, {x: source, less: two.limits}, ranges.total(source, two.limits, 1))
    return Case(name, [one, two, three], [matrix_lanes, (lanes,), (lanes,)], {x: drawn(rng, source)})


def layer_case(name, rng, count, heads, lanes, modes=2):
    """Layers of a scan, a requantiser, two matrices of one tensor, their product and the way around it, where shifts, offsets
    and factors differ; the last one feeds nothing but the output."""
    operations, given = [], f"{name}_u"
    source = span(heads, -8, 7)
    scan_lanes, matrix_lanes, joint_lanes = lanes
    for k in range(count):
        x = f"{name}.{k}"
        parameters = {
            "a_re": numbers(rng, (heads, modes), -7, 7), "a_im": numbers(rng, (heads, modes), -7, 7),
            "b_re": numbers(rng, (heads, modes), 0, 1) << k, "b_im": np.zeros((heads, modes), np.int64),
            "c_re": numbers(rng, (heads, modes), -3, 3), "c_im": numbers(rng, (heads, modes), -3, 3),
            "d": numbers(rng, (heads,), -3, 3), "shift": numbers(rng, (1,), 3, 4),
        }  # fmt: skip
        one = scan(f"{x}.ssm", given, source, parameters, 5)
        lines = numbers(rng, (heads, 1), 9, 30) * np.arange(1, 8) + numbers(rng, (heads, 1), -40, 40)
        act = counting(f"{x}.act", one.output, one.limits, lines, 0)
        weights = [numbers(rng, (heads, heads), -8, 7) for _ in range(2)]
        value, gate = (dense(f"{x}.m{i}", act.output, act.limits, weight) for i, weight in enumerate(weights))
        rounded = counting(f"{x}.value", value.output, value.limits, rounding_thresholds(np.arange(-3, 5), 3 + k % 2), -4)
        share = counting(f"{x}.gate", gate.output, gate.limits, rounding_thresholds(np.arange(1, 4), 4 - k % 2), 0)
        limits = ranges.product(rounded.limits, share.limits)
        product = operation("product", f"{x}.mul", {rounded.output: rounded.limits, share.output: share.limits}, limits)
        factor = np.array([1 << k % 3])
        aligned = operation("shift", f"{x}.aligned", {given: source}, ranges.product(source, (factor, factor)), constant=factor)
        sources = {aligned.output: aligned.limits, product.output: limits}
        total = operation("sum", f"{x}.add", sources, ranges.total(aligned.limits, limits, 1))
        left = counting(f"{x}.y", total.output, total.limits, rounding_thresholds(np.arange(-7, 8), 1 + k % 2), -8)
        operations += [one, act, value, gate, rounded, share, product, aligned, total, left]
        given, source = left.output, left.limits
    every = [scan_lanes, joint_lanes, matrix_lanes, matrix_lanes, *[joint_lanes] * 6]
    codes = {f"{name}_u": drawn(rng, span(heads, -8, 7), steps=7)}
    return Case(name, operations, every, codes, layers=count)


def matrices(name, rng):
    """Two that take equally long: the second one's inputs come as slowly as it can bear, and must never wait."""
    source = span(6, -8, 7)
    one = dense(f"{name}_z", f"{name}_x", source, numbers(rng, (6, 12), -8, 7))
    two = dense(f"{name}_y", f"{name}_z", one.limits, numbers(rng, (12, 6), -8, 7))
    return Case(name, [one, two], [(1, 1), (1, 1)], {f"{name}_x": drawn(rng, source)})


def rounding_thresholds(levels, shift):
    return first_inputs(levels, shift, True)[None]


def counting_cases(rng):
    wide = span(4, -300, 300)
    levels = np.arange(-7, 8)
    offsets = numbers(rng, (4, 1), -40, 40)
    slopes = numbers(rng, (4, 1), 9, 30)
    lines = (slopes * (levels + 0.5)).astype(np.int64) + offsets
    curve = np.sort(numbers(rng, (4, 13), -200, 200), axis=1) * 9
    for name, thresholds, bias, lanes in (
        ("round", rounding_thresholds(levels, 3), -8, 1),
        ("exact", levels[None] + 0, -8, 1),
        ("some", rounding_thresholds(np.arange(-4, 6), 3), -5, 1),
        ("moved", rounding_thresholds(levels, 4) + offsets, -8, 2),
        ("line", lines, -8, 1),
        ("lines", lines, 0, 4),
        ("curve", curve, -3, 1),
        ("curves", curve, 100, 2),
        ("one_curve", curve[:1], 0, 2),
    ):
        source = span(4, -2000, 2000) if "curve" in name else wide
        one = counting(f"{name}_y", f"{name}_x", source, thresholds, bias)
        codes = drawn(rng, source)
        # Ties and the codes beside them.
        codes[0] = np.clip(
            rng.choice((thresholds + numbers(rng, (1, 1), -1, 1)).reshape(-1), codes[0].shape), *(end[0] for end in source)
        )
        yield Case(name, [one], [(lanes,)], {f"{name}_x": codes})
    # Of few codes a table is made.
    for name, rows, source, lanes in (("table", 4, span(4, -30, 31), 2), ("one_table", 1, span(4, 0, 300), 1)):
        one = counting(f"{name}_y", f"{name}_x", source, np.sort(numbers(rng, (rows, 9), -20, 200), axis=1), -4)
        yield Case(name, [one], [(lanes,)], {f"{name}_x": drawn(rng, source)})


def linear_cases(rng):
    source = span(6, 0, 63)
    for name, kind, constant, sign, lanes in (
        ("scale", "scale", numbers(rng, 6, -9, 9), 1, 1),
        ("one_scale", "scale", np.array([-5]), 1, 3),
        ("shifts", "shift", np.array([1, 2, 4, 8, 1, 16]), 1, 2),
        ("offset", "offset", numbers(rng, 6, -50, 50), 1, 1),
        ("turned", "offset", numbers(rng, 6, -50, 50), -1, 6),
    ):
        found = ranges.constant(np.broadcast_to(constant, (6,)).copy())
        limits = ranges.total(found, source, sign) if kind == "offset" else ranges.product(source, found)
        one = operation(kind, f"{name}_y", {f"{name}_x": source}, limits, constant=constant, sign=sign)
        yield Case(name, [one], [(lanes,)], {f"{name}_x": drawn(rng, source)})


def dense_cases(rng):
    for name, inputs, outputs, lanes, source in (
        ("square", 4, 4, (1, 1), span(4, -8, 7)),
        ("wide", 6, 4, (2, 3), span(6, 0, 15)),
        ("whole", 3, 4, (4, 3), span(3, -8, 7)),
        ("spread", 1, 5, (1, 1), span(1, 0, 255)),
        ("gathered", 5, 1, (1, 5), span(5, -3, 3)),
        ("odd", 10, 6, (3, 5), span(10, -8, 7)),
    ):
        one = dense(f"{name}_y", f"{name}_x", source, numbers(rng, (inputs, outputs), -8, 7))
        yield Case(name, [one], [lanes], {f"{name}_x": drawn(rng, source)})


def cases(seed: int) -> list[Case]:
    rng = np.random.default_rng(seed)
    found = [*counting_cases(rng), *linear_cases(rng), *dense_cases(rng)]
    found += [
        joined("gate", rng, "product", span(4, -32, 31), span(4, 0, 63), 1),
        joined("gates", rng, "product", span(4, -32, 31), span(4, -2, 1), 4),
        joined("sum", rng, "sum", span(4, -32, 31), span(4, 0, 63), 2),
        joined("difference", rng, "sum", span(4, 0, 31), span(4, -64, 63), 1, sign=-1),
        joined("aligned", rng, "sum", span(4, -32, 31), span(4, -2000, 2000), 1, shift=5),
        joined("spread_sum", rng, "sum", span(1, 0, 31), span(4, -64, 63), 2),
        scan_case("sweep", rng, 3, 4, (1, 1)),
        scan_case("short", rng, 2, 3, (1, 1), u=(0, 15), drive="product"),
        scan_case("single", rng, 1, 1, (1, 1), drive=("shift", "shift"), state_bits=4),
        scan_case("lanes", rng, 4, 4, (1, 4), shifts=(0, 5)),
        scan_case("heads", rng, 6, 3, (2, 3), drive=("product", "shift"), state_bits=12, u=(-128, 127)),
        scan_case("halves", rng, 5, 6, (1, 2), drive=("none", "product"), shifts=(3, 4)),
        scan_case("whole_number", rng, 4, 3, (1, 3), shifts=(0, 0), state_bits=9),
    ]
    for name, channels, lanes in (("pool", 4, 1), ("pool_two", 2, 1), ("pool_one", 3, 3)):
        source = span(channels, -8, 7)
        one = operation("running sum", f"{name}_y", {f"{name}_x": source}, span(channels, -512, 511))
        found.append(Case(name, [one], [(lanes,)], {f"{name}_x": drawn(rng, source)}))
    ending = operation("offset", "ending_y", {"ending_x": span(3, 0, 7)}, span(3, 1, 8), constant=np.array([1]))
    found.append(Case("ending", [ending], [(1,)], {"ending_x": drawn(rng, span(3, 0, 7))}, each_step=False))
    found += [residual("residual", rng, (1, 1), 1), residual("residual_lanes", rng, (2, 4), 4)]
    for name, source in (
        ("argmax", span(5, -8, 7)),
        ("argmax_one", span(1, 0, 7)),
        ("argmax_high", span(4, 0, 3)),
    ):
        one = operation("offset", f"{name}_y", {f"{name}_x": source}, source, constant=np.array([0]))
        found.append(Case(name, [one], [(1,)], {f"{name}_x": drawn(rng, source)}, argmax=True))
    # An encoder, whose products its requantiser does.
    source = span(1, 0, 63)
    spread = dense("encoder_x", "encoder_u", source, numbers(rng, (1, 6), -8, 7))
    rounded = counting("encoder_y", "encoder_x", spread.limits, rounding_thresholds(np.arange(-7, 8), 4), -8)
    found.append(Case("encoder", [spread, rounded], [(2, 1), (2,)], {"encoder_u": drawn(rng, source)}))
    found += [
        layer_case("two_layers", rng, 2, 4, ((1, 1), (1, 2), (1,))),
        layer_case("three_layers", rng, 3, 3, ((1, 2), (1, 1), (1,))),
        layer_case("wide_layers", rng, 4, 4, ((2, 2), (2, 2), (2,))),
        layer_case("whole_layers", rng, 2, 2, ((2, 2), (2, 2), (2,))),
    ]
    # Multipliers of LUTs, an even and an odd number of rows.
    luts = [
        scan_case("lut_scan", rng, 3, 4, (1, 1), drive="product"),
        joined("lut_gate", rng, "product", span(4, -32, 31), span(4, 0, 63), 1),
        joined("lut_gates", rng, "product", span(4, -32, 31), span(4, -64, 63), 1),
    ]
    for case in luts:
        case.use_dsp = False
    found += [
        # Modes that decay alone: a sum is a bit narrower than a product could be; one of large inputs is wider.
        scan_case("decay", rng, 2, 3, (1, 1), a_bits=8, turning=0),
        scan_case("driven", rng, 2, 3, (1, 1), a_bits=4, state_bits=5, u=(-128, 127), drive="product"),
        matrices("matrices", rng),
    ]
    return [*found, *luts]


NAMES = [case.name for case in cases(0)]
# Shares of cycles in which the inputs and the outputs pause.
PAUSES = {"steady": (0.0, 0.0), "stalled": (0.3, 0.5), "starved": (0.6, 0.1)}


@pytest.fixture(scope="module")
def benches(tmp_path_factory):
    return bench(cases(0), tmp_path_factory.mktemp("bench"))


@pytest.fixture(scope="module")
def runs(benches):
    return {pauses: benches.run(*pauses, seed=7) for pauses in PAUSES.values()}


@needs_tools
@pytest.mark.parametrize("pauses", PAUSES.values(), ids=PAUSES)
@pytest.mark.parametrize("name", NAMES)
def test_every_code_and_every_flag(benches, runs, name, pauses):
    number = NAMES.index(name)
    codes, last, _ = runs[pauses][number]
    expected = benches.cases[number].expected()
    np.testing.assert_array_equal(codes, expected)
    assert np.all(last[:, -1] == 1) and not np.any(last[:, :-1])


@needs_tools
@pytest.mark.parametrize("name", NAMES)
def test_beats_leave_when_the_table_says(benches, runs, name):
    number = NAMES.index(name)
    _, _, cycles = runs[PAUSES["steady"]][number]
    np.testing.assert_array_equal(cycles, benches.foretold(number))
