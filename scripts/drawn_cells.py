"""Instances of every module of the library, of widths, lanes and depths such as networks have; the same for the same seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from ssmq_export.rtl import library
from ssmq_export.rtl.affine import Line
from ssmq_export.rtl.multipliers import in_luts
from ssmq_export.rtl.netlist import Cell, Stream

Draw = Callable[[np.random.Generator], Cell]


def _up_to(rng: np.random.Generator, least: int, most: int) -> int:
    """Small numbers as often as large ones."""
    return round(float(np.exp(rng.uniform(np.log(least), np.log(most)))))


def _stream(rng, name: str, bits=(2, 14), channels=(2, 64), paced: bool | None = None) -> Stream:
    """Often one lane, else up to 8 that divide the channels."""
    count = _up_to(rng, *channels)
    lanes = 1 if rng.random() < 0.5 else int(rng.choice([n for n in range(1, 9) if count % n == 0]))
    paced = bool(rng.random() < 0.4) if paced is None else paced
    return Stream(name, count, lanes, _up_to(rng, *bits), bool(rng.random() < 0.7), paced=paced)


def _like(stream: Stream, name: str = "out", **changes) -> Stream:
    return replace(stream, name=name, **changes)


def _codes(rng, bits: int, shape: tuple[int, ...]) -> np.ndarray:
    """Signed numbers that need ``bits``."""
    codes = rng.integers(-(1 << (bits - 1)), 1 << (bits - 1), shape)
    codes.flat[0] = -(1 << (bits - 1))
    return codes


def _styled(rng, cell: Cell) -> Cell:
    return in_luts(cell) if rng.random() < 0.4 else cell


def _of_one(make: Callable[[Stream, Stream], Cell], **ranges) -> Draw:
    def draw(rng):
        given = _stream(rng, "in", **{"paced": False, "bits": (2, 20), **ranges})
        return make(given, _like(given))

    return draw


def _fork(rng) -> Cell:
    given = _stream(rng, "in", paced=False)
    return library.fork(given, [_like(given, f"out{k}") for k in range(int(rng.integers(2, 5)))])


def _fifo(rng) -> Cell:
    given = _stream(rng, "in", bits=(1, 20), paced=False)
    return library.fifo(given, _like(given), _up_to(rng, 2, 128))


def _lanes_changed(widen: bool) -> Draw:
    def draw(rng):
        times, bits, lanes = _up_to(rng, 2, 16), _up_to(rng, 2, 20), int(rng.integers(1, 3))
        narrow = Stream("in", lanes * times, lanes, bits, True, paced=bool(rng.random() < 0.4))
        wide = replace(narrow, lanes=lanes * times)
        if widen:
            return library.widen(narrow, _like(wide))
        return library.narrow(wide, _like(narrow))

    return draw


def _replay(rng) -> Cell:
    given = _stream(rng, "in", channels=(2, 48))
    cell = library.replay(given, _like(given), _up_to(rng, 2, 40))
    depth = library.power(cell.parameters["DEPTH"] * int(rng.integers(1, 3)))
    return replace(cell, parameters={**cell.parameters, "DEPTH": depth})


def _repeat(rng) -> Cell:
    output = _stream(rng, "out")
    return library.repeat(replace(output, name="in", channels=1, lanes=1, paced=False), output)


def _argmax(rng) -> Cell:
    given = Stream("in", _up_to(rng, 2, 30), 1, _up_to(rng, 4, 20), True)
    return library.argmax(given, _like(given, channels=1, bits=max(1, (given.beats - 1).bit_length()), signed=False))


def _sub_lanes(rng) -> Cell:
    every = int(rng.integers(2, 4))
    given = Stream("in", every * 8, every * 2, _up_to(rng, 2, 14), True)
    return library.lanes(given, _like(given, channels=8, lanes=2), every, 0)


def _affine(rng) -> Cell:
    """A requantiser clips its sums to a few bits less than are left of them."""
    given = _stream(rng, "in", bits=(3, 20), channels=(2, 160))
    channels = given.channels
    kind = rng.choice(["common", "terms", "powers", "factors"], p=[0.25, 0.25, 0.2, 0.3])
    factor = np.ones(channels, np.int64)
    if kind == "powers":
        factor = 1 << rng.integers(0, int(rng.integers(2, 8)), channels)
        factor[0] = 2
    elif kind == "factors":
        factor = np.abs(_codes(rng, _up_to(rng, 3, 11), (channels,))) | 1
    term = _codes(rng, max(2, given.bits - int(rng.integers(0, 5))), (channels,))
    if kind == "common":
        term[:] = term[0] * int(rng.random() < 0.3)
    if rng.random() < 0.75:
        bits, signed = _up_to(rng, 2, 10), bool(given.signed and rng.random() < 0.6)
        low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
        if rng.random() < 0.15:
            low, high = low + signed, high - 1
        left = given.bits + int(factor.max()).bit_length() - bits
        line = Line(factor, term, max(0, left - int(rng.integers(-1, 6))), low, high)
        term, output = line.term, _like(given, bits=bits, signed=signed)
    else:
        # A product alone has no terms.
        line, output = None, _like(given, bits=given.bits + int(rng.integers(1, 9)), signed=True)
        term = term * int(kind in ("common", "terms"))
    return _styled(rng, library.affine(given, output, factor, term, line))


def _matvec(rng) -> Cell:
    simd, beats, pe = int(rng.choice([1, 1, 2, 2, 3, 4, 5, 8])), _up_to(rng, 1, 24), int(rng.choice([1, 1, 1, 2, 3, 4]))
    given = _stream(rng, "in", bits=(3, 9))
    given = replace(given, channels=simd * beats, lanes=simd)
    outputs, bits = pe * _up_to(rng, 1, 24), _up_to(rng, 3, 8)
    weight = _codes(rng, bits, (1, simd * beats, outputs))
    sums = given.bits + bits + (simd * beats - 1).bit_length() - int(rng.integers(0, 3))
    output = _like(given, channels=outputs, lanes=pe, bits=max(sums, 4), signed=True)
    return _styled(rng, library.matvec(given, output, weight))


def _joined(make: Callable[[Stream, Stream, Stream], Cell], bits, product: bool) -> Draw:
    def draw(rng):
        left = _stream(rng, "a", bits=bits, channels=(1, 8))
        right = replace(left, name="b", bits=_up_to(rng, *bits), signed=bool(rng.random() < 0.7))
        wide = left.bits + right.bits if product else max(left.bits, right.bits) + 1 + int(rng.integers(0, 6))
        return _styled(rng, make(left, right, _like(left, bits=wide, signed=True)))

    return draw


def _sums(rng) -> Cell:
    shifts, sign = (int(rng.integers(0, 6)) * int(rng.random() < 0.6), 0), int(rng.choice([1, 1, -1]))
    return _joined(lambda left, right, output: library.add(left, right, output, shifts, sign), (3, 20), False)(rng)


def _running_sum(rng) -> Cell:
    given = _stream(rng, "in", bits=(2, 9), paced=False)
    return library.running_sum(given, _like(given, bits=given.bits + int(rng.integers(4, 11)), once=True))


def _table(rng) -> Cell:
    given = _stream(rng, "in", bits=(2, 8), channels=(1, 12))
    output = _like(given, bits=_up_to(rng, 2, 9), signed=True)
    rows = int(rng.choice([1, given.channels]))
    return library.table(given, output, _codes(rng, output.bits, (rows, 1 << given.bits)))


def _search(rng) -> Cell:
    code = _stream(rng, "in", bits=(4, 16), channels=(1, 16))
    known, final = int(rng.integers(0, 6)), rng.random() < 0.3
    given = _like(code, "in", bits=code.bits + known, signed=False) if known else code
    output = _like(code, bits=known + 1 + (0 if final else code.bits), signed=False)
    rows = int(rng.choice([1, code.channels]))
    return library.search(given, output, code, known, np.sort(_codes(rng, code.bits, (rows, 1 << known)), axis=1))


def _loop(rng) -> Cell:
    slots, inner = int(rng.integers(2, 9)), _stream(rng, "out", bits=(3, 9), channels=(4, 32), paced=True)
    turning = replace(inner, channels=inner.channels * slots, slots=slots)
    fresh = replace(inner, name="in", paced=False)
    slot = inner.beats * int(rng.integers(1, 12))
    return library.loop(fresh, _like(turning, "back"), turning, _like(fresh, "result"), slot)


def _scan(rng) -> Cell:
    """Poles are fractions, so that a state is as wide as before when it was multiplied and rounded."""
    heads, modes = _up_to(rng, 2, 16), int(rng.choice([1, 2, 4, 4, 6, 8]))
    slots = int(rng.choice([1, 1, 4])) if heads <= 10 else 1
    at_once = int(rng.choice([n for n in (1, 1, 2, 4) if modes % n == 0]))
    lanes = 2 if at_once == modes <= 2 and heads % 2 == 0 and rng.random() < 0.5 else 1
    given = Stream("in", heads * slots, lanes, _up_to(rng, 3, 10), bool(rng.random() < 0.6), slots=slots, paced=slots > 1)
    shape, state, a_bits = (heads * slots, modes), _up_to(rng, 5, 14), _up_to(rng, 6, 14)
    base, b_bits = int(rng.integers(2, 9)), _up_to(rng, 3, 9)
    choices = {
        "none": np.zeros(shape, np.int64),
        "shift": 1 << rng.integers(base, base + int(rng.integers(2, 9)), shape),
        "product": _codes(rng, b_bits, shape),
    }
    kinds = [str(kind) for kind in rng.choice(list(choices), 2, p=[0.25, 0.45, 0.3])]
    c_bits = _up_to(rng, 3, 9)
    numbers = {
        **{name: _codes(rng, a_bits, shape) for name in ("a_re", "a_im")},
        **{name: choices[kind] for name, kind in zip(("b_re", "b_im"), kinds, strict=True)},
        **{name: _codes(rng, c_bits, shape) for name in ("c_re", "c_im")},
        "d": _codes(rng, _up_to(rng, 3, 10), shape[:1]),
        "shift": np.array([[a_bits - 1]]),
    }
    wide = state + c_bits + (modes - 1).bit_length() - int(rng.integers(0, 3))
    cell = library.scan(given, replace(given, name="out", bits=max(wide, 4), signed=True), at_once, numbers, state)
    return in_luts(cell) if rng.random() < 0.2 else cell


# How many of each, most of those that a network spends most on.
MODULES: dict[str, tuple[int, Draw]] = {
    "register": (8, _of_one(library.register)),
    "half_register": (6, _of_one(library.half_register)),
    "fifo": (24, _fifo),
    "fork": (6, _fork),
    "widen": (8, _lanes_changed(True)),
    "narrow": (8, _lanes_changed(False)),
    "last_step": (4, _of_one(library.last_step)),
    "replay": (20, _replay),
    "repeat": (6, _repeat),
    "argmax": (6, _argmax),
    "lanes": (4, _sub_lanes),
    "affine": (96, _affine),
    "matvec": (40, _matvec),
    "product": (16, _joined(library.product, (3, 16), True)),
    "sum": (16, _sums),
    "running_sum": (12, _running_sum),
    "table": (12, _table),
    "search": (14, _search),
    "loop": (12, _loop),
    "scan": (55, _scan),
}


def drawn() -> list[Cell]:
    """All of them."""
    found = []
    for number, (name, (count, draw)) in enumerate(MODULES.items()):
        rng = np.random.default_rng(number)
        cells = [draw(rng) for _ in range(count)]
        assert all(cell.module == f"ssmq_{name}" for cell in cells), name
        found += cells
    return found
