"""What is proved: property modules of this folder at small sizes."""

from __future__ import annotations

import numpy as np

from ...dataflow import ranges
from ...dataflow.diagonal_scan import output_ranges
from ...dataflow.hardware import SCAN_LOOP
from .. import library
from ..affine import Line
from ..netlist import Cell, stream_of
from ..timing import SCAN_LATENCY
from .prove import Proof


def _round(in_bits: int, shift: int, out_bits: int, signed: bool) -> Proof:
    low = -(1 << (out_bits - 1)) if signed else 0
    parameters = {"IN_BITS": in_bits, "SHIFT": shift, "OUT_BITS": out_bits, "LOW": low, "HIGH": low + (1 << out_bits) - 1}
    return Proof(f"round-{in_bits}-{shift}-{'s' if signed else 'u'}{out_bits}", "prove_round", parameters)


def _join(name: str, a: tuple[int, int], b: tuple[int, int], out: tuple[int, int], **more: int) -> Proof:
    """Bits and sign of each."""
    ports = {"A": a, "B": b, "OUT": out}
    parameters = {
        f"{port}_{key}": value for port, pair in ports.items() for key, value in zip(("BITS", "SIGNED"), pair, strict=True)
    }
    return Proof(name, "prove_join", parameters | more)


def _memory(words: list[int]) -> dict[str, str]:
    return {"memory.mem": "".join(f"{word:x}\n" for word in words)}


def _cell(name: str, cell: Cell) -> Proof:
    """An instance as the generator makes it, with the sign of what leaves it."""
    (output,) = cell.outputs.values()
    rom = cell.roms.get("FILE")
    parameters = {key: value for key, value in cell.parameters.items() if key not in ("LANES", "PE")}
    return Proof(
        name,
        cell.module.replace("ssmq_", "prove_"),
        parameters | {"OUT_SIGNED": int(output.signed)},
        {"memory.mem": rom.text()} if rom else {},
    )


def _ends(low: int, high: int, channels: int = 1):
    return np.full(channels, low, np.int64), np.full(channels, high, np.int64)


def _generated() -> list[Proof]:
    """Widths, constants and memories as the generator chooses them."""
    code, bits = stream_of("x", _ends(-4, 3, 2), 1), stream_of("x", _ends(0, 1, 2), 1)
    weight = np.array([[1, -1], [-2, 1]])
    sums = ranges.matmul(_ends(0, 1, 2), weight)
    factor, term = np.array([3, -2]), np.array([5, -6])
    scaled = ranges.total(ranges.product(_ends(-4, 3, 2), (factor, factor)), (term, term), 1)
    powers = np.array([1, 4])
    doubled = ranges.total(ranges.product(_ends(-4, 3, 2), (powers, powers)), (term, term), 1)
    rounded = stream_of("y", _ends(-4, 3, 2), 1)
    line, common = (Line(numbers, numbers - 2, 2, -4, 3) for numbers in (factor, factor[:1]))
    return [
        _cell("matvec", library.matvec(bits, stream_of("y", sums, 1), weight[None])),
        _cell("matvec-2", library.matvec(stream_of("x", _ends(0, 1, 2), 2), stream_of("y", sums, 1), weight[None])),
        _cell("affine", library.affine(code, stream_of("y", scaled, 1), factor, term)),
        _cell("affine-powers", library.affine(code, stream_of("y", doubled, 1), powers, term)),
        _cell("requantiser", library.affine(code, rounded, factor, line.term, line)),
        _cell("requantiser-common", library.affine(code, rounded, factor[[0, 0]], common.term[[0, 0]], common)),
    ]


def _scan(name: str, beats: int, groups: int, queue: int) -> Proof:
    """As a stream, with the latency and the loop of the table."""
    latency = SCAN_LATENCY + groups
    sizes = {"BEATS": beats, "GROUPS": groups, "QUEUE": queue, "LATENCY": latency, "LOOP": SCAN_LOOP}
    return Proof(name, "prove_scan", sizes, _memory([0] * beats * groups), cycles=latency + 2)


def _update(name: str, a: list[list[int]], b: list[list[int]], state_bits: int) -> Proof:
    """A mode's step, with the numbers {real, imaginary} and widths of a scan of one head and two modes."""
    one = np.ones((1, 2), np.int64)
    parameters = {
        f"{key}_{part}": np.array([row])
        for key, rows in (("a", a), ("b", b))
        for part, row in zip(("re", "im"), rows, strict=True)
    }
    parameters |= {"c_re": one, "c_im": one, "d": one[0, :1], "shift": one[0, :1] * 2}
    cell = library.scan(stream_of("x", _ends(-2, 1), 1), stream_of("y", _ends(-8, 7), 1), 1, parameters, state_bits)
    kept = ("IN_BITS", "IN_SIGNED", "STATE_BITS", "A_BITS", "B_BITS", "B_BASE", "B_RE_KIND", "B_IM_KIND", "SUM_BITS", "SHIFT")
    settings = {key: cell.parameters[key] for key in kept}
    return Proof(name, "prove_scan_update", settings, {"memory.mem": cell.roms["A_FILE"].text()})


def _output(name: str, c: list[list[int]], d: int, modes: int, state_bits: int) -> Proof:
    """A head's output, ``modes`` at once, with the numbers {real, imaginary} and widths of a scan of one head."""
    none = np.zeros((1, len(c[0])), np.int64)
    parameters = dict.fromkeys(("a_re", "a_im", "b_re", "b_im"), none)
    parameters |= {"c_re": np.array([c[0]]), "c_im": np.array([c[1]]), "d": np.array([d]), "shift": np.array([0])}
    source = _ends(-2, 1)
    leaving = stream_of("y", output_ranges(parameters, source[0], source[1], state_bits), 1)
    cell = library.scan(stream_of("x", source, 1), leaving, modes, parameters, state_bits)
    kept = ("MODES", "GROUPS", "STATE_BITS", "IN_BITS", "C_BITS", "D_BITS", "OUT_BITS")
    settings = {key: cell.parameters[key] for key in kept} | {"D": d}
    return Proof(name, "prove_scan_output", settings, {"memory.mem": cell.roms["C_FILE"].text()}, cycles=8)


PROOFS = (
    _round(8, 3, 4, True),
    _round(8, 3, 4, False),
    _round(8, 0, 4, True),
    _round(6, 1, 8, True),
    _round(6, 4, 3, True),
    _round(12, 5, 5, False),
    Proof("register", "prove_register"),
    Proof("half-register", "prove_half_register"),
    Proof("fifo", "prove_fifo"),
    Proof("fifo-4", "prove_fifo", {"DEPTH": 4}),
    Proof("fifo-block", "prove_fifo", {"READ": 2}),
    Proof("fork", "prove_fork"),
    Proof("fork-3", "prove_fork", {"READERS": 3}),
    Proof("widen", "prove_widen"),
    Proof("widen-3", "prove_widen", {"TIMES": 3}),
    Proof("narrow", "prove_narrow"),
    Proof("narrow-3", "prove_narrow", {"TIMES": 3}),
    _join("sum", (2, 1), (2, 1), (3, 1)),
    _join("sum-mixed", (2, 1), (3, 0), (5, 1), A_SHIFT=1),
    _join("difference", (2, 0), (2, 0), (4, 1), B_SHIFT=1, SUBTRACT=1),
    _join("product", (2, 1), (2, 1), (4, 1), PRODUCT=1),
    _join("product-unsigned", (2, 0), (2, 0), (4, 0), PRODUCT=1),
    _join("product-rows", (2, 1), (3, 1), (5, 1), PRODUCT=1, STYLE=1),
    _join("product-odd-rows", (3, 0), (2, 1), (5, 1), PRODUCT=1, STYLE=1),
    Proof("multiply", "prove_multiply"),
    Proof("multiply-rows", "prove_multiply", {"STYLE": 1}),
    Proof("multiply-even-rows", "prove_multiply", {"STYLE": 1, "B_BITS": 4}),
    Proof("tree", "prove_tree"),
    Proof("tree-5", "prove_tree", {"COUNT": 5, "OUT_BITS": 5}),
    Proof("last-step", "prove_last_step"),
    Proof("running-sum", "prove_running_sum", {"OUT_BITS": 4}),
    Proof("running-sum-1", "prove_running_sum", {"BEATS": 1}),
    Proof("running-sum-unsigned", "prove_running_sum", {"BEATS": 3, "IN_SIGNED": 0, "OUT_SIGNED": 0}),
    Proof("argmax", "prove_argmax"),
    Proof("argmax-unsigned", "prove_argmax", {"BEATS": 4, "IN_SIGNED": 0}),
    Proof("replay", "prove_replay"),
    Proof("repeat", "prove_repeat"),
    Proof("repeat-lanes", "prove_repeat", {"LANES": 2, "CHANNELS": 4}),
    Proof("loop", "prove_loop", {"BITS": 1, "BEATS": 1, "GAP": 3, "LATENCY": 5}, cycles=32, bounded=True),
    Proof("loop-block", "prove_loop", {"BITS": 1, "BEATS": 1, "GAP": 3, "LATENCY": 4, "READ": 2}, cycles=32, bounded=True),
    _scan("scan", 2, 2, 2),
    _scan("scan-loop", 1, 2, 2),
    _scan("scan-long", 3, 4, 4),
    Proof("table", "prove_lookup", {"BEATS": 3}, _memory([1, 7, 2, 4, 3, 0, 6, 5, 2, 1, 5, 0])),
    Proof("table-common", "prove_lookup", {"COMMON": 1}, _memory([1, 7, 2, 4])),
    Proof("search", "prove_lookup", {"SEARCH": 1, "BEATS": 3}, _memory([1, 7, 0])),
    Proof("search-unsigned", "prove_lookup", {"SEARCH": 1, "KNOWN": 1, "CODE_SIGNED": 0}, _memory([1, 3, 0, 2])),
    Proof("search-final", "prove_lookup", {"SEARCH": 1, "KNOWN": 1, "FINAL": 1, "COMMON": 1}, _memory([7, 1])),
    _update("scan-update", [[3, -2], [-1, 3]], [[1, 2], [0, 0]], 3),
    _update("scan-update-products", [[3, -2], [-1, 2]], [[-1, 1], [1, -2]], 2),
    _output("scan-output", [[1, -2, 1], [0, 1, -1]], -3, 1, 2),
    _output("scan-output-modes", [[1, -2, 1, 1], [0, 1, -1, -2]], 3, 2, 2),
    *_generated(),
)
