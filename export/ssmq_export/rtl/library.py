"""Instances of the modules in ``library/``, one function a module: parameters, memories, timing."""

from __future__ import annotations

import numpy as np

from ..errors import ExportError
from .affine import Line
from .netlist import Cell, Rom, Stream
from .timing import SCAN_LATENCY, LastStep, Looped, Parts, Replayed, Scanned, Several, Through

INT32 = 1 << 31
# Bits of the largest queue that synthesis puts into LUTs.
LUT_RAM = 1024

# Modules that are wires, without a clock.
WIRED = frozenset({"ssmq_lanes", "ssmq_last_step"})


def _bits(values: np.ndarray) -> int:
    """Bits of a signed word that holds every one of ``values``, two at least."""
    return max(int(values.max(initial=0)), ~int(values.min(initial=0)), 1).bit_length() + 1


def power(least: int) -> int:
    """The power of two from 2 on that is not below ``least``."""
    return 1 << max(1, (least - 1).bit_length())


def register(given: Stream, output: Stream) -> Cell:
    return Cell(f"{output.name}_register", "ssmq_register", Through(1), {"in": given}, {"out": output}, {"BITS": given.width})


def half_register(given: Stream, output: Stream) -> Cell:
    timing = Through(1)
    return Cell(f"{output.name}_register", "ssmq_half_register", timing, {"in": given}, {"out": output}, {"BITS": given.width})


def fifo(given: Stream, output: Stream, beats: int) -> Cell:
    parameters = {"BITS": given.width, "DEPTH": power(beats)}
    parameters |= _read(parameters)
    timing = Through(queue_latency(parameters))
    return Cell(f"{output.name}_fifo", "ssmq_fifo", timing, {"in": given}, {"out": output}, parameters)


def _read(queue: dict[str, int]) -> dict[str, int]:
    """How a queue is read that is too large for LUTs."""
    return {"READ": 2} if (queue["BITS"] + 1) * queue["DEPTH"] > LUT_RAM else {}


def queue_latency(parameters: dict[str, int]) -> int:
    """Cycles of a beat in an empty queue of these parameters."""
    return 1 + parameters.get("READ", 1)


def fork(given: Stream, outputs: list[Stream]) -> Cell:
    parameters = {"BITS": given.width, "READERS": len(outputs)}
    ports = {f"out{k}": output for k, output in enumerate(outputs)}
    return Cell(f"{given.name}_fork", "ssmq_fork", Through(0), {"in": given}, ports, parameters)


def widen(given: Stream, output: Stream) -> Cell:
    times = output.lanes // given.lanes
    parameters = {"BITS": given.width, "TIMES": times}
    return Cell(f"{output.name}_widen", "ssmq_widen", Several(1, times), {"in": given}, {"out": output}, parameters)


def narrow(given: Stream, output: Stream) -> Cell:
    times = given.lanes // output.lanes
    parameters = {"BITS": output.width, "TIMES": times}
    return Cell(f"{output.name}_narrow", "ssmq_narrow", Parts(1, times), {"in": given}, {"out": output}, parameters)


def last_step(given: Stream, output: Stream) -> Cell:
    timing = LastStep(0, given.beats)
    return Cell(f"{output.name}_last_step", "ssmq_last_step", timing, {"in": given}, {"out": output}, {"BITS": given.width})


def replay(given: Stream, output: Stream, passes: int) -> Cell:
    beats = given.beats // given.slots
    parameters = {"BITS": given.width, "BEATS": beats, "PASSES": passes, "DEPTH": power(beats + 4)}
    timing = Replayed(2, beats, passes)
    return Cell(f"{output.name}_replay", "ssmq_replay", timing, {"in": given}, {"out": output}, parameters)


def repeat(given: Stream, output: Stream) -> Cell:
    """The one channel of ``given`` as those of ``output``."""
    parameters = {"BITS": given.bits, "LANES": output.lanes, "CHANNELS": output.channels}
    return Cell(f"{output.name}_repeat", "ssmq_repeat", Parts(1, output.beats), {"in": given}, {"out": output}, parameters)


def argmax(given: Stream, output: Stream) -> Cell:
    parameters = {"BEATS": given.beats, "IN_BITS": given.bits, "IN_SIGNED": int(given.signed)}
    timing = Several(1, given.beats)
    return Cell(f"{output.name}_argmax", "ssmq_argmax", timing, {"in": given}, {"out": output}, parameters)


def affine(given: Stream, output: Stream, factor: np.ndarray, term: np.ndarray, line: Line | None = None) -> Cell:
    """``factor * x + term`` a channel, or of ``line`` the requantiser."""
    low, high = _codes(given)
    ends = np.stack([factor * low + term, factor * high + term])
    parameters = {"LANES": given.lanes, "BEATS": given.beats, "IN_BITS": given.bits, "IN_SIGNED": int(given.signed)}
    parameters |= {"OUT_BITS": output.bits}
    if line is not None:
        # Two bits at least are left for the rounder: a sign, and one to be made even.
        parameters |= {"SUM_BITS": max(_bits(ends), line.shift + 2), "ROUND": 1}
        parameters |= {"SHIFT": line.shift, "LOW": line.low, "HIGH": line.high}
    roms, latency = {}, 1 + 2 * (line is not None)
    common = np.all(factor == factor[0]) and np.all(term == term[0])
    if common and max(abs(int(factor[0])), abs(int(term[0]))) < INT32:
        parameters |= {"COMMON": 1, "FACTOR": int(factor[0]), "TERM": int(term[0])}
    else:
        powers = bool(np.all(factor > 0) and np.all(factor & (factor - 1) == 0))
        kept = np.log2(factor).astype(np.int64) if powers else factor
        widths = (int(kept.max()).bit_length() if powers else _bits(factor), _bits(term))
        parameters |= {"FACTOR_BITS": widths[0], "POWERS": int(powers and widths[0] > 0), "TERM_BITS": widths[1]}
        numbers = np.stack([kept, term], axis=1)[:, widths[0] == 0 :].reshape(given.beats, -1)
        roms["FILE"] = Rom(output.name, numbers, tuple(width for width in widths if width) * given.lanes)
        latency += 0 if not widths[0] else 1 if powers else 3
    return Cell(output.name, "ssmq_affine", Through(latency), {"in": given}, {"out": output}, parameters, roms)


def _codes(stream: Stream) -> tuple[int, int]:
    """What the wires can hold."""
    return (-(1 << (stream.bits - 1)), (1 << (stream.bits - 1)) - 1) if stream.signed else (0, (1 << stream.bits) - 1)


def matvec(given: Stream, output: Stream, weight: np.ndarray) -> Cell:
    """``weight`` (slots, inputs, outputs); ``given`` is replayed once for every ``output.lanes`` outputs."""
    slots, inputs, outputs = weight.shape
    simd, pe = given.lanes, output.lanes
    # A word is a pass's and a beat's: (slots, passes, beats, pe, simd).
    words = weight.transpose(0, 2, 1).reshape(slots, outputs // pe, pe, inputs // simd, simd)
    words = words.transpose(0, 1, 3, 2, 4).reshape(-1, pe * simd)
    rom = Rom(output.name, words, (_bits(weight),) * (pe * simd))
    beats, passes = inputs // simd, slots * outputs // pe
    parameters = {"PE": pe, "SIMD": simd, "IN_BEATS": beats, "PASSES": passes, "IN_BITS": given.bits}
    parameters |= {"IN_SIGNED": int(given.signed), "WEIGHT_BITS": _bits(weight), "OUT_BITS": output.bits}
    timing = Several(4 + (simd - 1).bit_length(), beats)
    return Cell(output.name, "ssmq_matvec", timing, {"in": given}, {"out": output}, parameters, {"FILE": rom})


def product(left: Stream, right: Stream, output: Stream) -> Cell:
    parameters = {"LANES": left.lanes, "A_BITS": left.bits, "A_SIGNED": int(left.signed), "B_BITS": right.bits}
    parameters |= {"B_SIGNED": int(right.signed), "OUT_BITS": output.bits}
    return Cell(output.name, "ssmq_product", Through(3), {"a": left, "b": right}, {"out": output}, parameters)


def lanes(given: Stream, output: Stream, every: int, first: int) -> Cell:
    """Of every ``every`` lanes the one ``first``."""
    parameters = {"BITS": given.bits, "LANES": output.lanes, "EVERY": every, "FIRST": first}
    return Cell(f"{output.name}_lanes", "ssmq_lanes", Through(0), {"in": given}, {"out": output}, parameters)


def loop(given: Stream, back: Stream, output: Stream, result: Stream, slot: int) -> Cell:
    """One layer for ``output.slots``, each of which takes ``slot`` cycles, or the fewest that there are."""
    gap, idle = divmod(max(slot, given.beats + 2), given.beats)
    timing = Looped(1, output.slots, given.beats, gap, idle)
    parameters = {"BITS": given.width, "SLOTS": timing.slots, "BEATS": timing.beats, "GAP": gap, "IDLE": idle}
    parameters["DEPTH"] = power((timing.slots + 2) * timing.beats)
    parameters |= _read(parameters)
    streams = {"out": output, "result": result}
    return Cell(f"{output.name}_loop", "ssmq_loop", timing, {"in": given, "back": back}, streams, parameters)


def add(left: Stream, right: Stream, output: Stream, shifts: tuple[int, int], sign: int) -> Cell:
    parameters = {"LANES": left.lanes, "A_BITS": left.bits, "A_SIGNED": int(left.signed), "A_SHIFT": shifts[0]}
    parameters |= {"B_BITS": right.bits, "B_SIGNED": int(right.signed), "B_SHIFT": shifts[1]}
    parameters |= {"SUBTRACT": int(sign < 0), "OUT_BITS": output.bits}
    return Cell(output.name, "ssmq_sum", Through(1), {"a": left, "b": right}, {"out": output}, parameters)


def running_sum(given: Stream, output: Stream) -> Cell:
    parameters = {"LANES": given.lanes, "BEATS": given.beats, "IN_BITS": given.bits, "IN_SIGNED": int(given.signed)}
    parameters |= {"OUT_BITS": output.bits}
    return Cell(output.name, "ssmq_running_sum", LastStep(1, given.beats), {"in": given}, {"out": output}, parameters)


def table(given: Stream, output: Stream, codes: np.ndarray) -> Cell:
    """``codes`` ``(1 or channels, 2**given.bits)``, by the bits of what comes."""
    rom = Rom(output.name, codes.reshape(-1, 1), (output.bits,))
    parameters = {"LANES": given.lanes, "BEATS": given.beats, "IN_BITS": given.bits, "OUT_BITS": output.bits}
    parameters |= {"COMMON": int(len(codes) == 1)}
    return Cell(output.name, "ssmq_table", Through(2), {"in": given}, {"out": output}, parameters, {"FILE": rom})


def search(given: Stream, output: Stream, code: Stream, known: int, thresholds: np.ndarray) -> Cell:
    """One level; ``code`` is what is searched for, ``thresholds`` ``(1 or channels, 2**known)``."""
    final = output.bits == known + 1
    bits = _bits(thresholds)
    rom = Rom(output.name, thresholds.reshape(-1, 1), (bits,))
    parameters = {"LANES": given.lanes, "BEATS": given.beats, "CODE_BITS": code.bits, "CODE_SIGNED": int(code.signed)}
    parameters |= {"KNOWN": known, "FINAL": int(final), "COMMON": int(len(thresholds) == 1), "THRESHOLD_BITS": bits}
    return Cell(output.name, "ssmq_search", Through(3), {"in": given}, {"out": output}, parameters, {"FILE": rom})


def scan(given: Stream, output: Stream, modes: int, parameters: dict[str, np.ndarray], state_bits: int) -> Cell:
    """A DiagonalScan, ``modes`` of a head at once; ``parameters`` as ``Operation`` has them."""
    numbers = _ScanNumbers(parameters, state_bits, given)
    heads, groups = given.lanes, parameters["a_re"].shape[1] // modes
    latency = SCAN_LATENCY + (modes - 1).bit_length() + (modes > 1) - 2 * output.paced
    lanes = heads * modes

    def ordered(values: list[np.ndarray]) -> np.ndarray:
        """(words, fields): a word is a beat's and a group's, its fields those of every mode of every head."""
        stacked = np.stack(values, axis=-1).reshape(given.beats, heads, groups, modes, len(values))
        return stacked.transpose(0, 2, 1, 3, 4).reshape(given.beats * groups, -1)

    a, b, c, d = numbers.widths
    roms = {
        "A_FILE": Rom(f"{output.name}_a", ordered([*numbers.a, *numbers.b]), (a, a, b, b) * lanes),
        "C_FILE": Rom(f"{output.name}_c", ordered([parameters["c_re"], parameters["c_im"]]), (c, c) * lanes),
        "D_FILE": Rom(f"{output.name}_d", parameters["d"].reshape(given.beats, heads), (d,) * heads),
    }
    settings = {"HEADS": heads, "MODES": modes, "BEATS": given.beats, "GROUPS": groups, "IN_BITS": given.bits}
    settings |= {"IN_SIGNED": int(given.signed), "STATE_BITS": state_bits, "A_BITS": a, "B_BITS": b}
    settings |= {"B_BASE": numbers.base, "B_RE_KIND": numbers.kinds[0], "B_IM_KIND": numbers.kinds[1]}
    settings |= {"C_BITS": c, "D_BITS": d, "SUM_BITS": numbers.sum_bits, "SHIFT": numbers.shift, "OUT_BITS": output.bits}
    settings |= {"SLOTS": given.slots, "QUEUE": 0 if output.paced else power(-(-(latency + groups) // groups) + 1)}
    timing = Scanned(latency, given.beats, groups)
    return Cell(output.name, "ssmq_scan", timing, {"in": given}, {"out": output}, settings, roms)


NONE, SHIFTED, MULTIPLIED = 0, 1, 2


class _ScanNumbers:
    """The constants of a scan as its memories hold them.

    All modes are rounded by the largest shift, those of a smaller one scaled up to it, which changes no code and saves a
    shifter of the wide sum. A real or imaginary part of B that has powers of two alone is a shift of u.
    """

    def __init__(self, parameters: dict[str, np.ndarray], state_bits: int, given: Stream):
        shifts = np.broadcast_to(parameters["shift"], parameters["a_re"].shape)
        self.shift = int(shifts.max())
        _refuse_wide(parameters, 2.0 ** (self.shift - shifts), state_bits, given)
        raised = {name: parameters[name] << (self.shift - shifts) for name in ("a_re", "a_im", "b_re", "b_im")}
        self.a = [raised["a_re"], raised["a_im"]]
        driven = [raised["b_re"], raised["b_im"]]
        self.kinds = [_kind(part) for part in driven]
        exponents = [np.log2(np.maximum(part, 1)).astype(np.int64) for part in driven]
        used = [e[part != 0] for e, part, kind in zip(exponents, driven, self.kinds, strict=True) if kind == SHIFTED]
        self.base = int(min((e.min() for e in used), default=0))
        # {used, k}, with at least one bit of k.
        most = max((int(e.max()) - self.base for e in used), default=0)
        shifted = max(1, most.bit_length())
        coded = [np.where(part != 0, (1 << shifted) + e - self.base, 0) for e, part in zip(exponents, driven, strict=True)]
        self.b = [
            {NONE: 0 * part, SHIFTED: code, MULTIPLIED: part}[kind]
            for part, code, kind in zip(driven, coded, self.kinds, strict=True)
        ]
        widths = [_bits(part) for part, kind in zip(driven, self.kinds, strict=True) if kind == MULTIPLIED]
        if SHIFTED in self.kinds and MULTIPLIED in self.kinds:
            # Both parts have fields of one width; one of them is no shift, so neither is.
            self.kinds = [MULTIPLIED if kind == SHIFTED else kind for kind in self.kinds]
            self.b, widths = driven, [_bits(part) for part in driven]
        b = max([*widths, shifted + 1 if SHIFTED in self.kinds else 1])
        self.widths = (
            _bits(np.stack(self.a)),
            b,
            _bits(np.stack([parameters["c_re"], parameters["c_im"]])),
            _bits(parameters["d"]),
        )
        low, high = _codes(given)
        state = 1 << (state_bits - 1)
        largest = (np.abs(self.a[0]) + np.abs(self.a[1])) * state
        largest = largest + np.maximum(np.abs(driven[0]), np.abs(driven[1])) * max(-low, high) + (1 << self.shift)
        self.sum_bits = max(int(largest.max()).bit_length() + 1, self.shift + 2)


def _refuse_wide(parameters: dict[str, np.ndarray], raised: np.ndarray, state_bits: int, given: Stream) -> None:
    """Raise ExportError for sums that no code of 64 bits holds."""
    a_re, a_im, b_re, b_im = (np.abs(parameters[name]) * raised for name in ("a_re", "a_im", "b_re", "b_im"))
    sums = (a_re + a_im) * 2.0 ** (state_bits - 1) + np.maximum(b_re, b_im) * 2.0**given.bits
    if float(sums.max()) >= 2.0**61:
        raise ExportError("DiagonalScan: its sums need more than 63 bits: choose narrower formats or shifts closer together")


def _kind(part: np.ndarray) -> int:
    used = part[part != 0]
    if not len(used):
        return NONE
    return SHIFTED if np.all(used > 0) and np.all(used & (used - 1) == 0) else MULTIPLIED
