"""Which multipliers a design needs, and which become LUTs, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from ssmq_export.rtl import library
from ssmq_export.rtl.multipliers import in_luts, multipliers, with_multipliers
from ssmq_export.rtl.netlist import Cell, Stream

FACTORS, TERMS = np.array([3, -9, 5, 6]), np.arange(4)


def stream(name: str, lanes: int, bits: int, channels: int = 4) -> Stream:
    return Stream(name, channels, lanes, bits, True)


def matvec(name: str = "matvec", pe: int = 2, simd: int = 4, bits: int = 6) -> Cell:
    return library.matvec(stream("u", simd, bits), stream(name, pe, 20), np.full((1, 4, 4), 7))


def affine(factor: np.ndarray, term=TERMS) -> Cell:
    return library.affine(stream("u", 2, 6), stream("affine", 2, 20), factor, term)


def scan(b_im: int) -> Cell:
    """Two heads and three modes at once."""
    values = {"a_re": -100, "a_im": 5, "b_re": 3, "b_im": b_im, "c_re": 7, "c_im": -1}
    numbers = {name: np.full((4, 6), value) for name, value in values.items()}
    numbers |= {"d": np.full(4, -40), "shift": np.full((4, 6), 4)}
    return library.scan(stream("u", 2, 6), stream("scan", 2, 20), 3, numbers, 12)


# Codes of 6 bits are numbers of 7, whatever their sign; constants have a sign.
@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        (matvec(), [(7, 4)] * 8),
        (library.product(stream("a", 2, 6), stream("b", 2, 3), stream("y", 2, 9)), [(7, 4)] * 2),
        (affine(FACTORS), [(7, 5)] * 2),
        # One line is part of the logic, powers of two are shifts, and ones are nothing.
        (affine(np.full(4, 3), np.full(4, 9)), []),
        (affine(np.array([1, 2, 4, 8])), []),
        (affine(np.ones(4, np.int64)), []),
        (library.register(stream("u", 2, 6), stream("y", 2, 6)), []),
        # A mode: A of 8 bits four times, B of 3 as often as it is no shift, C of 4 twice, of a state of 12; a head: D of 7.
        (scan(0), ([(8, 12)] * 12 + [(7, 3)] * 3 + [(12, 4)] * 6 + [(7, 7)]) * 2),
        (scan(3), ([(8, 12)] * 12 + [(7, 3)] * 6 + [(12, 4)] * 6 + [(7, 7)]) * 2),
    ],
    ids=["matrix", "product", "factors", "one line", "powers of two", "ones", "register", "real scan", "scan"],
)
def test_the_widths_of_every_product(cell, expected):
    assert sorted(multipliers(cell)) == sorted(expected)


def styles(cells: list[Cell]) -> dict[str, int]:
    return {cell.name: cell.parameters.get("STYLE", 0) for cell in cells}


@pytest.mark.parametrize(
    ("count", "in_luts"),
    [(0, "abc"), (1, "abc"), (2, "bc"), (3, "bc"), (4, "ac"), (5, "ac"), (6, "c"), (7, "c"), (8, "")],
)
def test_the_widest_products_have_the_multipliers_and_the_next_ones_that_fit_have_the_rest(count, in_luts):
    cells = [
        matvec("c", 1, 2, 3),
        matvec("b", 2, 2, 9),
        matvec("a", 1, 2, 3),
        library.register(stream("b", 2, 6), stream("y", 2, 6)),
    ]
    found = with_multipliers(cells, count)
    assert styles(found) == {**{name: int(name in in_luts) for name in "abc"}, "y_register": 0}
    assert [cell.name for cell in found] == [cell.name for cell in cells]


def test_luts_multiply_in_as_many_cycles():
    for cell in (matvec(), affine(FACTORS), scan(0)):
        found = in_luts(cell)
        assert found.parameters == {**cell.parameters, "STYLE": 1}
        assert found.timing == cell.timing
        assert in_luts(found).parameters == found.parameters
    register = library.register(stream("u", 2, 6), stream("y", 2, 6))
    assert in_luts(register) is register
