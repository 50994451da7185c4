"""What every module of the RTL library is made of, in amounts that a synthesis turns into LUTs and registers.

Counted as the module's source has them. What one of each takes in a module on a family is not known here: ``calibration.py``
has it, fitted to measured synthesis.
"""

from __future__ import annotations

from collections.abc import Callable

from ..rtl.library import MULTIPLIED, SHIFTED
from .amounts import Amounts, Parameters, address
from .parts import Family


def _register(a: Amounts) -> None:
    bits = a.has["BITS"] + 1
    a.logic["bits"] += bits
    a.register(2 * bits)


def _half_register(a: Amounts) -> None:
    a.register(a.has["BITS"] + 1)


def _fifo(a: Amounts, prefix: str = "") -> None:
    _queue(a, a.has["BITS"] + 1, a.has["DEPTH"])


def _queue(a: Amounts, bits: int, depth: int) -> None:
    a.ram(depth, bits)
    a.logic["pointers"] += address(depth)
    a.register(2 * (address(depth) + 1) + 1)


def _fork(a: Amounts) -> None:
    if not a.paced:
        a.logic["readers"] += (a.has["READERS"] - 1) ** 2
        a.register(a.has["READERS"])


def _widen(a: Amounts) -> None:
    bits, times = a.has["BITS"], a.has["TIMES"]
    a.counter(times)
    a.register(bits * (2 * times - 1) + 2)
    a.logic["bits"] += bits * times


def _narrow(a: Amounts) -> None:
    bits, times = a.has["BITS"], a.has["TIMES"]
    a.counter(times)
    a.register(bits * times + 2)
    a.logic["bits"] += bits * (times - 1)
    a.logic["chosen"] += bits * (times - 1) * (times > 4)


def _wires(a: Amounts) -> None:
    pass


def _replay(a: Amounts) -> None:
    _queue(a, a.has["BITS"] + 1, a.has["DEPTH"])
    a.counter(a.has["BEATS"])
    a.counter(a.has["PASSES"])
    a.register(address(a.has["DEPTH"]) + 1)
    if a.blocks:
        # Yosys does not see that no word is read while it is written.
        a.register(2 * (a.has["BITS"] + 1) + address(a.has["DEPTH"]))


def _repeat(a: Amounts) -> None:
    a.counter(a.has["CHANNELS"] // a.has["LANES"])
    a.register(a.has["BITS"] + 2)


def _argmax(a: Amounts) -> None:
    a.counter(a.has["BEATS"])
    a.adder(a.has["IN_BITS"] + 1)
    a.register(a.has["IN_BITS"] + 1 + 2 + address(a.has["BEATS"]))


def _affine(a: Amounts) -> None:
    has, lanes = a.has, a.has["LANES"]
    rounds, factor_bits, term_bits = has.get("ROUND", 0), has.get("FACTOR_BITS", 0), has.get("TERM_BITS", 0)
    # Terms of two bits are all 0, and factors of a requantiser have no sign.
    signs = int(rounds and factor_bits > 0 and not has.get("POWERS"))
    stored, empty = factor_bits + term_bits, signs + term_bits * (term_bits == 2)
    factor_bits, term_bits = factor_bits - signs, term_bits * (term_bits > 2)
    given, wide = has["IN_BITS"] + 1, has["SUM_BITS"] if rounds else has["OUT_BITS"]
    latency = 1 + 2 * rounds
    if has.get("COMMON"):
        factor, term = has["FACTOR"], has["TERM"]
        # Bits below the lowest of the term pass; of a factor each bit but one is an adder.
        passed = (term & -term).bit_length() - 1 if term else wide
        a.adder((wide - passed) * lanes and wide - passed, lanes * (term != 0))
        a.adder(min(wide, given + factor.bit_length()), lanes * (abs(factor).bit_count() - 1))
        a.register(wide * lanes)
    else:
        share = a.words(has["BEATS"], lanes * stored, lanes * empty)
        a.adder(wide * (term_bits > 0), lanes)
        a.register(wide * lanes)
        if has.get("POWERS") and factor_bits:
            latency += 1
            moved = min(wide, given + (1 << factor_bits) - 1)
            a.logic["shifted"] += lanes * moved * factor_bits
            a.register(lanes * moved)
            a.delay(share * lanes * term_bits, 1, 1 if a.blocks else 2)
        elif factor_bits:
            cycles = 2 if has.get("STYLE") else 3
            latency += cycles
            a.delay(share * lanes * term_bits, cycles, 1 if a.blocks else 2)
            # Factors of one beat are constants.
            a.product(given, factor_bits, lanes * (1 if has["BEATS"] > 1 else 0.5), wide, held=False)
    a.flags(latency)
    if rounds:
        a.rounder(lanes, wide, has["SHIFT"], has["OUT_BITS"], has["LOW"], has["HIGH"])


def _matvec(a: Amounts) -> None:
    has = a.has
    pe, simd, beats, out = has["PE"], has["SIMD"], has["IN_BEATS"], has["OUT_BITS"]
    product = has["IN_BITS"] + 1 + has["WEIGHT_BITS"]
    a.words(has["PASSES"] * beats, pe * simd * has["WEIGHT_BITS"])
    a.counter(beats)
    a.product(has["IN_BITS"] + 1, has["WEIGHT_BITS"], pe * simd, out, held=False)
    a.tree(pe, simd, product, out)
    a.register(pe * out)
    if beats > 1:
        a.adder(out, pe)
        a.logic["started"] += pe * out
    latency = (2 if has.get("STYLE") else 3) + address(simd) * (simd > 1)
    a.flags(latency, 4 if beats > 1 else 2)
    a.flags(1)


def _product(a: Amounts) -> None:
    has = a.has
    a.product(has["A_BITS"] + 1, has["B_BITS"] + 1, has["LANES"], has["OUT_BITS"], held=False)
    a.flags(2 if has.get("STYLE") else 3)


def _sum(a: Amounts) -> None:
    has = a.has
    low = max(has["A_SHIFT"], has["B_SHIFT"]) if not has["SUBTRACT"] else has["B_SHIFT"]
    out = min(has["OUT_BITS"], max(has["A_BITS"] + has["A_SHIFT"], has["B_BITS"] + has["B_SHIFT"]) + 2)
    a.adder(out - low, has["LANES"])
    a.register(out * has["LANES"])
    a.flags(1)


def _running_sum(a: Amounts) -> None:
    has, bits = a.has, a.has["LANES"] * a.has["OUT_BITS"]
    if has["BEATS"] > 1:
        a.ram(has["BEATS"], bits)
        a.counter(has["BEATS"])
    else:
        a.register(bits)
    a.adder(has["OUT_BITS"], has["LANES"])
    a.logic["started"] += bits
    a.register(bits + 2)


def _table(a: Amounts) -> None:
    has = a.has
    channels = 1 if has["COMMON"] else has["LANES"] * has["BEATS"]
    a.rom(channels << has["IN_BITS"], has["OUT_BITS"], has["LANES"])
    if channels > 1:
        a.counter(has["BEATS"])
        a.logic["channel"] += has["LANES"] * (has["LANES"] > 1)
    a.flags(2)


def _search(a: Amounts) -> None:
    has, lanes = a.has, a.has["LANES"]
    given = has["CODE_BITS"] + has["KNOWN"]
    channels = 1 if has["COMMON"] else lanes * has["BEATS"]
    a.rom(channels << has["KNOWN"], has["THRESHOLD_BITS"], lanes)
    if channels > 1:
        a.counter(has["BEATS"])
        a.logic["channel"] += lanes * (lanes > 1)
    a.adder(max(has["CODE_BITS"] + 1, has["THRESHOLD_BITS"]), lanes)
    a.delay(lanes * given, 2)
    a.register(lanes * (has["KNOWN"] + 1 + (0 if has["FINAL"] else has["CODE_BITS"])))
    a.flags(3)


def _loop(a: Amounts) -> None:
    has = a.has
    _queue(a, has["BITS"] + 1, has["DEPTH"])
    a.logic["bits"] += has["BITS"]
    a.logic["slots"] += has["SLOTS"]
    a.counter(has["BEATS"])
    a.counter(has["BEATS"])
    a.counter(has["SLOTS"] + 1)
    a.counter(has["GAP"] + has["IDLE"])
    a.register(has["BITS"] + 2 * (has["SLOTS"] + 1) + 10)


def _scan(a: Amounts) -> None:
    has = a.has
    heads, modes, groups, slots, beats = (has[name] for name in ("HEADS", "MODES", "GROUPS", "SLOTS", "BEATS"))
    lanes, words, tree = heads * modes, beats * groups, (modes - 1).bit_length()
    state, given, queue = has["STATE_BITS"], heads * has["IN_BITS"], has["QUEUE"]
    # When modes start.
    a.register(given + 3 + slots + (address(queue + 1) + 1) * (queue > 0))
    for count in (beats, groups + max(10 - words, 0), groups, beats // slots * (slots > 1), words, words, words, beats):
        a.counter(count)
    # What goes with them.
    a.delay(given, 2)
    a.delay(given, 8 + tree)
    a.flags(10 + tree, 2 if groups == 1 else 4)
    # Of a part of B that is a shift nothing but the shift is told, and of one that is none nothing.
    empty = sum({SHIFTED: 1, MULTIPLIED: 0}.get(has[kind], has["B_BITS"]) for kind in ("B_RE_KIND", "B_IM_KIND"))
    a.rom(words, 2 * lanes * (has["A_BITS"] + has["B_BITS"]), empty=lanes * empty)
    a.rom(words, 2 * lanes * has["C_BITS"])
    a.rom(beats, heads * has["D_BITS"])
    a.ram(words, 2 * lanes * state, 2)
    _update(a, lanes)
    # The output.
    term = state + has["C_BITS"]
    a.product(state, has["C_BITS"], 2 * lanes)
    a.adder(term + 1, lanes)
    a.register((term + 1) * lanes)
    a.tree(heads, modes, term + 1, has["OUT_BITS"])
    a.product(has["IN_BITS"] + 1, has["D_BITS"], heads)
    a.adder(has["OUT_BITS"], heads)
    a.logic["started"] += heads * has["OUT_BITS"]
    a.register(heads * has["OUT_BITS"])
    if queue:
        _queue(a, heads * has["OUT_BITS"] + 1, queue)


def _update(a: Amounts, lanes: int) -> None:
    """The next state: four products, their sums, with what u drives, rounded."""
    has = a.has
    state, wide = has["STATE_BITS"], has["SUM_BITS"]
    a.logic["fresh"] += 2 * lanes * state
    a.product(has["A_BITS"], state, 4 * lanes, wide, held=False)
    if has.get("STYLE"):
        a.kept["products"] += 2 * lanes * (has["A_BITS"] + state)
    turned = min(wide, has["A_BITS"] + state + 1)
    a.adder(turned, 2 * lanes)
    a.adder(wide, 2 * lanes)
    a.register(2 * lanes * (turned + wide))
    for kind in (has["B_RE_KIND"], has["B_IM_KIND"]):
        given, bits, half = has["IN_BITS"] + 1, has["B_BITS"], max(has["SHIFT"] - 1, 0)
        if kind == SHIFTED:
            choices = 1 << (bits - 1)
            fine, coarse = given + 3, min(given + choices - 1, wide - has["B_BASE"])
            a.logic["fine"] += lanes * fine
            a.logic["coarse"] += lanes * coarse * max(bits - 3, 0)
            a.adder(wide - half, lanes)
            a.kept["shifted"] += lanes * (fine + coarse + bits - 3)
            a.register(lanes * 2 * (wide - has["B_BASE"]))
        elif kind == MULTIPLIED:
            a.product(given, bits, lanes)
            a.adder(given + bits + 1 - half, lanes)
            a.register(lanes * (given + bits + 1))
    a.rounder(2 * lanes, wide, has["SHIFT"], state, -(1 << (state - 1)), (1 << (state - 1)) - 1)


MADE: dict[str, Callable[[Amounts], None]] = {
    "ssmq_register": _register,
    "ssmq_half_register": _half_register,
    "ssmq_fifo": _fifo,
    "ssmq_fork": _fork,
    "ssmq_widen": _widen,
    "ssmq_narrow": _narrow,
    "ssmq_last_step": _wires,
    "ssmq_lanes": _wires,
    "ssmq_replay": _replay,
    "ssmq_repeat": _repeat,
    "ssmq_argmax": _argmax,
    "ssmq_affine": _affine,
    "ssmq_matvec": _matvec,
    "ssmq_product": _product,
    "ssmq_sum": _sum,
    "ssmq_running_sum": _running_sum,
    "ssmq_table": _table,
    "ssmq_search": _search,
    "ssmq_loop": _loop,
    "ssmq_scan": _scan,
}


def made_of(module: str, parameters: Parameters, paced: bool, family: Family) -> Amounts:
    """What an instance of ``module`` is made of."""
    amounts = Amounts(parameters, paced, family)
    MADE[module](amounts)
    return amounts
