"""What a netlist of Yosys takes when it is packed, as nextpnr reports it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from ssmq_export.synthesis.families import ECP5, ICE40, XILINX
from ssmq_export.synthesis.report import used_of

RESOURCES = ("lut", "ff", "dsp", "bram")


def taken(module: dict, family: str) -> dict[str, int]:
    """Resources of a mapped module of Yosys' JSON."""
    cells = [cell for cell in module["cells"].values() if cell["type"] != "$scopeinfo"]
    counts = Counter(cell["type"] for cell in cells)
    assert not any(kind.startswith(("$", "ssmq_")) for kind in counts), counts
    flow, report = PACKED[family](cells, counts)
    used = used_of(flow, counts, {kind: {"used": count} for kind, count in report.items()})
    return {name: used[name] for name in RESOURCES}


def _ecp5(cells: list[dict], counts: Counter):
    """Two cells a CCU2C, and one of them more before and behind each chain, by which carries go in and out; a RAM's cells and
    those that its write port takes."""
    chained = {bit for cell in cells if cell["type"] == "CCU2C" for bit in _wires(cell, "COUT")}
    chains = sum(cell["type"] == "CCU2C" and not chained.intersection(_wires(cell, "CIN")) for cell in cells)
    cells_ = counts["LUT4"] + 2 * counts["CCU2C"] + 4 * chains + 6 * counts["TRELLIS_DPR16X4"]
    return ECP5, {**counts, "TRELLIS_COMB": cells_}


def _ice40(cells: list[dict], counts: Counter):
    """A LUT, a register behind it and a carry beside it share a cell."""
    readers: dict[int, list[tuple[dict, str]]] = {}
    for cell in cells:
        for port in cell["connections"]:
            if cell["port_directions"][port] == "input":
                for bit in _wires(cell, port):
                    readers.setdefault(bit, []).append((cell, port))
    luts = [cell for cell in cells if cell["type"] == "SB_LUT4"]
    alone = counts_of(cells, "SB_DFF") - sum(_feeds_register(lut, readers) for lut in luts)
    carries = [cell for cell in cells if cell["type"] == "SB_CARRY"]
    report = {"ICESTORM_LC": len(luts) + alone + sum(not _beside_lut(one, readers) for one in carries)}
    return ICE40, {**report, "ICESTORM_DSP": counts["SB_MAC16"], "ICESTORM_RAM": counts_of(cells, "SB_RAM40")}


def _feeds_register(lut: dict, readers: dict) -> bool:
    (bit,) = _wires(lut, "O")
    found = readers.get(bit, [])
    return len(found) == 1 and found[0][0]["type"].startswith("SB_DFF") and found[0][1] == "D"


def _beside_lut(carry: dict, readers: dict) -> bool:
    """Whether one LUT reads both of its operands, and its carry alone."""
    for bit in _wires(carry, "CI"):
        for lut, port in readers.get(bit, []):
            pairs = (("I1", "I0"), ("I2", "I1"))
            same = all(lut["connections"].get(mine) == carry["connections"].get(own) for mine, own in pairs)
            if lut["type"] == "SB_LUT4" and port == "I3" and same:
                return True
    return False


def counts_of(cells: list[dict], start: str) -> int:
    return sum(cell["type"].startswith(start) for cell in cells)


def _wires(cell: dict, port: str) -> Iterator[int]:
    """Bits of a port that are no constants."""
    return (bit for bit in cell["connections"].get(port, []) if isinstance(bit, int))


PACKED: dict[str, Callable] = {"ecp5": _ecp5, "ice40": _ice40, "xilinx": lambda cells, counts: (XILINX, {})}
