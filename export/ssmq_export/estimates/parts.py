"""Parts and what is in them, from their makers' data sheets.

Block RAM is counted in blocks of 18 kbit: a 36 kbit block of 7-series or UltraScale+ is two of them. iCE40's are of 4 kbit.
Sources: Xilinx DS190 (Zynq-7000), DS180 (7-series), DS891 (Zynq UltraScale+); Lattice FPGA-DS-02012 (ECP5),
FPGA-DS-02008 (iCE40 UltraPlus), FPGA-DS-02029 (iCE40 LP/HX); Gowin DS117 (GW1NR), DS226 (GW2AR).
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

from ..errors import ExportError

RESOURCES = ("lut", "ff", "dsp", "bram")
# Shapes of RAMB18E1/E2 (UG473, UG573), of ECP5's DP16KD/PDPW16KD (FPGA-TN-02204) and of Gowin's BSRAM (UG285): words x bits.
BLOCKS_OF_18K = ((16384, 1), (8192, 2), (4096, 4), (2048, 9), (1024, 18), (512, 36))
# SB_RAM40_4K (FPGA-TN-02002).
BLOCKS_OF_4K = ((2048, 2), (1024, 4), (512, 8), (256, 16))


@dataclass(frozen=True)
class Family:
    """``lut_inputs``: 6 or 4. ``multiplier``: operand widths of one hardware multiplier, signed. ``blocks``: shapes of a
    block RAM, words x bits. ``measured``: the family whose synthesis says what the library's modules take, if any does."""

    name: str
    lut_inputs: int
    multiplier: tuple[int, int]
    blocks: tuple[tuple[int, int], ...] = BLOCKS_OF_18K
    measured: str = ""

    @property
    def lut_words(self) -> int:
        """Words of one bit that a LUT stores."""
        return 1 << self.lut_inputs


# DSP48E1 (UG479), DSP48E2 (UG579), MULT18X18D (FPGA-TN-02205), SB_MAC16 (FPGA-TN-02007), MULT18X18 (UG287).
SERIES_7 = Family("Xilinx 7-series", 6, (25, 18), measured="xilinx")
# LUTs, registers and block RAM are those of 7-series.
ULTRASCALE_PLUS = Family("Xilinx UltraScale+", 6, (27, 18), measured="xilinx")
ECP5 = Family("Lattice ECP5", 4, (18, 18), measured="ecp5")
ICE40 = Family("Lattice iCE40", 4, (16, 16), BLOCKS_OF_4K, measured="ice40")
GOWIN = Family("Gowin", 4, (18, 18))


@dataclass(frozen=True)
class Part:
    """``bram`` in blocks of 18 kbit, of an iCE40 in blocks of 4 kbit."""

    name: str
    family: Family
    lut: int
    ff: int
    dsp: int
    bram: int


PARTS = {
    part.name: part
    for part in (
        Part("xc7z010", SERIES_7, 17_600, 35_200, 80, 120),
        Part("xc7z020", SERIES_7, 53_200, 106_400, 220, 280),
        Part("xc7a35t", SERIES_7, 20_800, 41_600, 90, 100),
        Part("xczu3eg", ULTRASCALE_PLUS, 70_560, 141_120, 360, 432),
        Part("xczu7ev", ULTRASCALE_PLUS, 230_400, 460_800, 1_728, 624),
        Part("lfe5u-25f", ECP5, 24_288, 24_288, 28, 56),
        Part("lfe5u-45f", ECP5, 43_848, 43_848, 72, 108),
        Part("lfe5u-85f", ECP5, 83_640, 83_640, 156, 208),
        Part("ice40up5k", ICE40, 5_280, 5_280, 8, 30),
        Part("ice40hx8k", ICE40, 7_680, 7_680, 0, 32),
        Part("gw1nr-9", GOWIN, 8_640, 6_480, 20, 26),
        Part("gw2ar-18", GOWIN, 20_736, 15_552, 48, 46),
    )
}


# Series 7, UltraScale, UltraScale+, Alveo, Kria and Versal, with package and speed grade or without.
_AMD = re.compile(r"x[acq](7[aksvz]|[akvz]u|u|k|v[cehmp])[0-9]{1,4}[a-z0-9]*(-[a-z0-9]+)*", re.IGNORECASE)


def amd_part(name: str) -> str:
    """``name`` if it is the name of an AMD part, known to ``PARTS`` or not; it reaches the scripts of other tools."""
    if not _AMD.fullmatch(name) or len(name) > 40:
        raise ExportError(
            f"part {name!r}: FINN compiles for AMD parts, as Vitis does: give a full name such as xc7z020clg400-1"
        )
    return name


def find_part(name: str) -> Part:
    """The part ``name``, with or without package and speed grade (xc7z020clg400-1), with or without the leading xc."""
    wanted = name.lower().strip()
    for key, part in PARTS.items():
        short = key.removeprefix("xc")
        # After the device comes its package or grade, which starts with a letter or a dash, never with a digit.
        if re.fullmatch(rf"(xc)?{re.escape(short)}([a-z-].*)?", wanted):
            return part
    close = difflib.get_close_matches(wanted, PARTS, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    raise ExportError(f"unknown part {name!r}: {hint}known parts: {', '.join(PARTS)}")
