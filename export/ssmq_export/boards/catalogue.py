"""Boards, their parts and pins, as their makers document them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

from ..errors import ExportError

PINS = ("clk", "rx", "tx", "led")


@dataclass(frozen=True)
class Board:
    """``pins``: sites of ``PINS``, seen from the FPGA; ``ram``: bytes of block RAM; ``loader``: openFPGALoader's name."""

    name: str
    title: str
    family: str
    part: str
    package: str
    clock_hz: int
    pins: Mapping[str, str]
    led_low: bool
    ram: int
    loader: str


def _pins(*sites: str) -> dict[str, str]:
    return dict(zip(PINS, sites, strict=True))


# amaranth-boards 0.0.21 has the pins of all but the Colorlight i5, which are those of its extension board in LiteX.
_ULX3S = _pins("G2", "M1", "L4", "B2")
BOARDS = {
    board.name: board
    for board in (
        Board(
            "icebreaker", "iCEBreaker", "ice40", "ice40up5k", "sg48", 12_000_000, _pins("35", "6", "9", "37"), True,
            30 << 9, "ice40_generic",
        ),
        Board(
            "ulx3s", "ULX3S with an 85F", "ecp5", "lfe5u-85f", "CABGA381", 25_000_000, _ULX3S, False,
            208 << 11, "ulx3s",
        ),
        Board(
            "ulx3s-25f", "ULX3S with a 25F", "ecp5", "lfe5u-25f", "CABGA381", 25_000_000, _ULX3S, False,
            56 << 11, "ulx3s",
        ),
        Board(
            "colorlight-i5", "Colorlight i5 on its extension board", "ecp5", "lfe5u-25f", "CABGA381", 25_000_000,
            _pins("P3", "H18", "J17", "U16"), True, 56 << 11, "colorlight-i5",
        ),
        Board(
            "tang-nano-9k", "Tang Nano 9K", "gowin", "gw1nr-9", "QN88P", 27_000_000, _pins("52", "18", "17", "10"), True,
            26 << 11, "tangnano9k",
        ),
    )
}  # fmt: skip


def find_board(name: str) -> Board:
    """The board ``name``; upper case, spaces and underscores are forgiven."""
    wanted = name.lower().strip().replace(" ", "-").replace("_", "-")
    if wanted in BOARDS:
        return BOARDS[wanted]
    close = difflib.get_close_matches(wanted, BOARDS, n=1)
    hint = f": did you mean {close[0]}?" if close else ":"
    raise ExportError(f"unknown board {name!r}{hint} known are {', '.join(BOARDS)}")
