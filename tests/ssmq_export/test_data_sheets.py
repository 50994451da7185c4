"""What parts have and what one adder, multiplier or memory takes, against the makers' data sheets, number by number.

DS180, DS190 and DS891 (parts), UG479 and UG579 (DSP48), UG473 and UG573 (RAMB18), UG474 (LUT6, RAM64M) of AMD; FPGA-DS-02012
(ECP5), FPGA-TN-02205 (MULT18X18D), FPGA-TN-02204 (DP16KD, PDPW16KD, TRELLIS_DPR16X4), FPGA-DS-02008 and FPGA-DS-02029
(iCE40 UltraPlus and HX), FPGA-TN-02007 (SB_MAC16) of Lattice; DS117 and DS226 (GW1NR, GW2AR), UG287 (MULT18X18) of Gowin.
"""

from __future__ import annotations

import pytest
from ssmq_export.errors import ExportError
from ssmq_export.estimates import PARTS, find_part
from ssmq_export.estimates import primitives as p
from ssmq_export.estimates.parts import amd_part
from ssmq_export.estimates.primitives import Cost

SERIES_7, ULTRASCALE_PLUS, ECP5, ICE40, GOWIN = (
    find_part(name).family for name in ("xc7a35t", "xczu3eg", "lfe5u-25f", "ice40up5k", "gw1nr-9")
)
# LUTs, flip-flops, multipliers and blocks of 18 kbit. AMD counts blocks of 36 kbit, two of 18 each; DS180 counts slices of
# four LUTs and eight flip-flops. An ECP5 slice has a flip-flop a LUT.
SHEETS = {
    "xc7z010": (SERIES_7, 17_600, 35_200, 80, 2 * 60),
    "xc7z020": (SERIES_7, 53_200, 106_400, 220, 2 * 140),
    "xc7a35t": (SERIES_7, 4 * 5_200, 8 * 5_200, 90, 2 * 50),
    "xczu3eg": (ULTRASCALE_PLUS, 70_560, 141_120, 360, 2 * 216),
    "xczu7ev": (ULTRASCALE_PLUS, 230_400, 460_800, 1_728, 2 * 312),
    "lfe5u-25f": (ECP5, 24_288, 24_288, 28, 56),
    "lfe5u-45f": (ECP5, 43_848, 43_848, 72, 108),
    "lfe5u-85f": (ECP5, 83_640, 83_640, 156, 208),
    # Logic cells of eight a tile; HX8K has no multiplier. Block RAM of 4 kbit.
    "ice40up5k": (ICE40, 8 * 660, 8 * 660, 8, 120 // 4),
    "ice40hx8k": (ICE40, 8 * 960, 8 * 960, 0, 128 // 4),
    # MULT18X18; kbit of BSRAM in blocks of 18.
    "gw1nr-9": (GOWIN, 8_640, 6_480, 20, 468 // 18),
    "gw2ar-18": (GOWIN, 20_736, 15_552, 48, 828 // 18),
}


def test_every_part_has_its_data_sheet():
    assert SHEETS.keys() == PARTS.keys()


@pytest.mark.parametrize("name", SHEETS)
def test_a_part_has_what_its_data_sheet_says(name):
    part = PARTS[name]
    assert (part.name, part.family, part.lut, part.ff, part.dsp, part.bram) == (name, *SHEETS[name])


AMD = ["xc7z020clg400-1", "xczu3eg-sbva484-1-e", "XCVU9P", "xqku040", "xck26-sfvc784-2LV-c", "xcu250-figd2104-2L-e"]


@pytest.mark.parametrize("name", AMD)
def test_parts_of_amd_are_known_by_their_form(name):
    """Known to us or not: Zynq, UltraScale+, Virtex, defence grade, Kria, Alveo."""
    assert amd_part(name) == name


@pytest.mark.parametrize("name", ["lfe5u-25f", "xc7z020; rm -r x", "", "xc7z020\n", "xc7z020" + 34 * "a"])
def test_what_is_no_part_of_amd_reaches_no_script(name):
    with pytest.raises(ExportError, match="FINN compiles for AMD parts"):
        amd_part(name)


def test_a_name_of_forty_characters_is_the_longest():
    assert amd_part("xc7z020" + 33 * "a")


def test_what_families_have():
    families = (SERIES_7, ULTRASCALE_PLUS, ECP5, ICE40, GOWIN)
    assert [family.lut_inputs for family in families] == [6, 6, 4, 4, 4]
    assert [family.lut_words for family in families] == [64, 64, 16, 16, 16]
    assert [family.multiplier for family in families] == [(25, 18), (27, 18), (18, 18), (16, 16), (18, 18)]


def test_an_ice40_keeps_4_kbit_a_block():
    """Of each shape one is filled; a word or a bit more takes two."""
    for words, bits in ((256, 16), (512, 8), (1024, 4), (2048, 2)):
        counts = [p.memory(*size, ICE40).bram for size in ((words, bits), (words + 1, bits), (words, bits + 1))]
        assert counts == [1, 2, 2], (words, bits)


@pytest.mark.parametrize(
    ("family", "left", "right", "multipliers"),
    [
        (SERIES_7, 25, 18, 1),
        (SERIES_7, 18, 25, 1),
        (SERIES_7, 26, 18, 2),
        (SERIES_7, 25, 19, 2),
        (SERIES_7, 26, 19, 2),  # turned, 19 fits into 25 bits and 26 takes two of 18
        (SERIES_7, 26, 26, 2 * 2),
        (SERIES_7, 50, 36, 2 * 2),
        (SERIES_7, 51, 36, 3 * 2),
        (SERIES_7, 37, 1, 2),
        (SERIES_7, 7, 6, 1),
        (ULTRASCALE_PLUS, 27, 18, 1),
        (ULTRASCALE_PLUS, 28, 18, 2),
        (ECP5, 18, 18, 1),
        (ECP5, 19, 18, 2),
        (ECP5, 7, 6, 1),
        (ECP5, 36, 36, 2 * 2),
        (ECP5, 4, 6, 1),  # however small: RTL instantiates one
        (ICE40, 16, 16, 1),
        (ICE40, 17, 16, 2),
    ],
)
def test_a_product_in_hardware_multipliers(family, left, right, multipliers):
    """Registers of the width of the product; each further tile is joined by an adder of that width, registered too."""
    wide, joins = left + right, multipliers - 1
    assert p.multiplier(left, right, family, True) == Cost(lut=wide * joins, ff=wide * (1 + joins), dsp=multipliers)
    # In LUTs it takes one a bit of every partial product.
    assert p.multiplier(left, right, family, False) == Cost(lut=left * right, ff=wide)


@pytest.mark.parametrize(
    ("family", "words", "width", "written", "luts"),
    [
        (SERIES_7, 1, 1, False, 1),
        (SERIES_7, 64, 5, False, 5),
        (SERIES_7, 65, 5, False, 2 * 5),
        (SERIES_7, 128, 5, False, 2 * 5),
        (SERIES_7, 129, 5, False, 3 * 5),
        (SERIES_7, 64, 100, False, 100),  # no deeper than a LUT, however wide
        (SERIES_7, 288, 8, False, 5 * 8),  # 2,304 bits, an eighth of a block
        (SERIES_7, 2304, 1, False, 36),
        (SERIES_7, 64, 3, True, 4),  # RAM64M: four LUTs for three bits
        (SERIES_7, 64, 1, True, 2),
        (SERIES_7, 65, 3, True, 2 * 4),
        (ULTRASCALE_PLUS, 65, 6, False, 2 * 6),
        (ULTRASCALE_PLUS, 65, 6, True, 2 * 8),
        (ECP5, 16, 4, False, 4),
        (ECP5, 17, 4, False, 2 * 4),
        (ECP5, 64, 4, False, 4 * 4),
        (ECP5, 16, 4, True, 4 + 2),  # TRELLIS_DPR16X4: four LUTs for four bits, two that write
        (ECP5, 17, 4, True, 2 * (4 + 2)),
        (ECP5, 16, 1, True, 2),
    ],
)
def test_a_shallow_memory_is_in_luts(family, words, width, written, luts):
    """What is read is registered."""
    assert p.memory(words, width, family, written) == Cost(lut=luts, ff=width)


@pytest.mark.parametrize("family", [SERIES_7, ULTRASCALE_PLUS, ECP5], ids=lambda family: family.name)
@pytest.mark.parametrize("written", [False, True])
@pytest.mark.parametrize(
    ("words", "width", "blocks"),
    [
        (289, 8, 1),
        (65, 36, 1),
        # Every shape of a block, filled: any other takes two.
        (16384, 1, 1),
        (8192, 2, 1),
        (4096, 4, 1),
        (2048, 9, 1),
        (1024, 18, 1),
        (512, 36, 1),
        # A word or a bit more.
        (16385, 1, 2),
        (8193, 2, 2),
        (4097, 4, 2),  # two of 8192 x 2 side by side
        (2049, 9, 2),
        (1025, 18, 2),
        (513, 36, 2),
        (512, 37, 2),
        (1024, 36, 2),
        (4096, 5, 2),
        (2048, 20, 3),
    ],
)
def test_a_deep_memory_is_in_blocks_of_the_shape_that_takes_fewest(family, words, width, written, blocks):
    assert p.memory(words, width, family, written) == Cost(ff=width, bram=blocks)


@pytest.mark.parametrize(("choices", "stages"), [(1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (8, 3), (9, 4)])
def test_a_shift_is_wires_or_a_choice_by_halves(choices, stages):
    assert p.shifter(7, choices) == Cost(lut=7 * stages, ff=7)


def test_one_lut_a_bit_where_there_is_a_carry():
    assert p.adder(7) == Cost(lut=7, ff=7)
    # Of a comparison one bit is kept.
    assert p.comparator(7) == Cost(lut=7, ff=1)


@pytest.mark.parametrize(("wide", "narrow", "dropped"), [(10, 4, 2), (11, 4, 3), (5, 5, 1), (1, 1, 1)])
def test_a_rounding_adds_looks_at_what_it_drops_and_chooses(wide, narrow, dropped):
    """``dropped``: LUTs of the or-tree, five inputs each. Registers of the result and of how it overflowed, up or down."""
    assert p.rounder(wide, narrow) == Cost(lut=wide + dropped + narrow, ff=narrow + 2)


@pytest.mark.parametrize(
    ("cycles", "counter", "compared"),
    [(1, 1, 1), (2, 1, 1), (3, 2, 1), (4, 2, 1), (5, 3, 1), (64, 6, 1), (65, 7, 2), (8192, 13, 3)],
)
def test_control_counts_compares_and_shakes_hands(cycles, counter, compared):
    """``compared``: LUTs of six inputs that tell the counter's last value; two more for valid and ready."""
    assert p.control(cycles) == Cost(lut=counter + compared + 2, ff=counter + 2)


def test_costs_add_and_repeat():
    assert Cost(1, 2, 3, 4) + Cost(50, 60, 70, 80) == Cost(51, 62, 73, 84)
    assert Cost(1, 2, 3, 4) * 3 == Cost(3, 6, 9, 12)
    assert Cost() == Cost(0, 0, 0, 0)
