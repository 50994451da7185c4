"""A small model's design for a board, as fast as its receiver may be: four clocks a bit."""

from __future__ import annotations

from pathlib import Path

import onnx
from small_files import small_files
from ssmq_export import rtl
from ssmq_export.boards import find_board, write_board
from ssmq_export.lowering import collapse

BOARD, BAUD = "icebreaker", 3_000_000


def small_board(folder: Path) -> Path:
    """``folder`` with a small model's graphs, its RTL in ``rtl`` and the design of a board in ``board``."""
    small_files(folder, "small")
    rtl.write_rtl(collapse(onnx.load(folder / "dataflow.onnx")), folder / "rtl")
    write_board(folder / "rtl", find_board(BOARD), folder / "board", BAUD)
    return folder
