"""results/boards.json: models of the zoo as bitstreams of boards, the serial line included.

    python scripts/measure_boards.py FOLDER [ROW ...]

FOLDER keeps the graphs, the RTL and the stages of every synthesis: what is there is not done again. Rows are numbered as in
DESIGNS, all of them unless some are named; a row is kept as soon as it is done (minutes each).
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

from measure_synthesis import SMALLEST, generated, said, serial, with_row
from ssmq_export.boards import find_board, load_design

RESULT = Path(__file__).parents[1] / "results" / "boards.json"
TITLE = "Bitstreams of boards, with the serial line: placed and routed by nextpnr, with the board's own pins"
HEADINGS = ["board", "model", "part", "LUT", "FF", "multipliers", "RAM", "clock MHz", "MHz that it might be", "bytes"]
HEADINGS += ["sequences/s on the line", "that the network does"]


@dataclass(frozen=True)
class Design:
    """``rtl``: words for ``ssmq rtl``; ``seed``: of the placement."""

    board: str
    rtl: tuple[str, ...]
    seed: int = 1
    model: str = SMALLEST


DESIGNS = (
    Design("icebreaker", serial(95, 12, "ice40up5k")),
    Design("ulx3s", serial(190, 25, "lfe5u-85f")),
    Design("colorlight-i5", serial(190, 25, "lfe5u-25f")),
    Design("tang-nano-9k", serial(700, 100, "gw1nr-9")),
)


def line(design: Design, folder: Path) -> list[str]:
    """One row of the table."""
    rtl = generated(design.model, design.rtl, folder)
    home = rtl.with_name(f"{design.board}-{design.seed}")
    words = ("board", design.board, str(rtl), "--out", str(home), "--bitstream", "--seed", str(design.seed), "--json")
    found = json.loads(said(*words))
    made, used = load_design(home), found["used"]
    return [
        design.board,
        design.model,
        find_board(design.board).part,
        *(f"{used[name]:,}" for name in ("lut", "ff", "dsp", "bram")),
        f"{made.clock_hz / 1e6:g}",
        f"{found['mhz']:.1f}",
        f"{(home / found['bitstream']).stat().st_size:,}",
        f"{made.line_rate:,.0f}",
        f"{made.clock_hz / made.cycles:,.0f}",
    ]


def main(folder: Path, chosen: list[str]) -> None:
    for number in map(int, chosen or range(len(DESIGNS))):
        with_row(RESULT, TITLE, HEADINGS, ("board", "model"), line(DESIGNS[number], folder))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
