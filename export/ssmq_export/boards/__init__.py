"""Boards: generated RTL as a complete design for a board that people own, and the computer at the other end of its cable.

    write_board(Path("rtl"), find_board("ulx3s"), Path("board"))

catalogue.py      boards: part, pins, clock
link.py           what an accelerator needs of its link, and what has none
library/          the modules around it
top.py, axi.py, accelerator.py, project.py   what is written, for a serial line or for a Zynq, around the network
bitstream.py      sources and pins to what is loaded
design.py         the folder as the computer reads it
protocol.py       frames, bit by bit
host.py           sends sequences, receives classes, repeats what was damaged
simulation.py, bridge.cpp   the whole design in Verilator, behind a terminal as behind a cable
"""

from __future__ import annotations

from .bitstream import Bitstream, make_bitstream
from .catalogue import BOARDS, Board, find_board
from .design import BoardDesign, load_design
from .host import Answer, Host
from .project import write_axi, write_board
from .simulation import SimulatedBoard

__all__ = [
    "BOARDS",
    "Answer",
    "Bitstream",
    "Board",
    "BoardDesign",
    "Host",
    "SimulatedBoard",
    "find_board",
    "load_design",
    "make_bitstream",
    "write_axi",
    "write_board",
]
