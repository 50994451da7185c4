"""Generated RTL on a part, with open tools from pip alone: what it takes, how fast it is, its bitstream.

    device, speed = find_device("lfe5u-25f", 6)
    measure(Path("rtl"), Path("build"), device, speed, seeds=3)

devices.py, families.py      parts; programs, words and cells of their families
harness.py                   shift registers around a design, so that it needs three pins
flow.py, stages.py           sources to a netlist, a netlist to a bitstream, each kept as long as its inputs are the same
output_registers.py          registers that block RAMs have themselves
tools.py, worker.py          one program in a process of its own
report.py, shortage.py       what the programs say: resources, clock, path; what is lacking
estimated.py                 what a design is estimated to take
placement.py                 a placement, or what the part lacks for it
netlist_model.py, models.py, block_ram.v   the netlist, simulated
measure.py, result.py        all of it, and what comes of it
explore.py                   all of it for every folding
"""

from __future__ import annotations

from .devices import DEVICES, find_device
from .explore import explore
from .measure import home_of, measure
from .result import Result
from .tools import INSTALL, missing, require

__all__ = ["DEVICES", "INSTALL", "Result", "explore", "find_device", "home_of", "measure", "missing", "require"]
