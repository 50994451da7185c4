"""A scan as FINN takes a module: a plain Verilog top with AXI streams around the core of the library, and its memories."""

from __future__ import annotations

import re
from pathlib import Path

from ..errors import ExportError
from ..rtl.names import LIBRARY
from ..rtl.netlist import Cell

TEMPLATE = Path(__file__).with_name("diagonal_scan_template.v")
# What a counter of the library counts to, a parameter of 32 bits.
MOST = 1 << 31


def write_scan(folder: Path, top: str, cell: Cell, steps: int) -> None:
    """Write ``<top>.v`` and the images of its memories, of sequences of ``steps`` steps.

    The images are named relative to ``folder``, as FINN's ReplaceVerilogRelPaths wants them.
    """
    places = steps * cell.inputs["in"].beats
    if not 0 < places < MOST:
        raise ExportError(f"a sequence of {steps:,} steps has {places:,} beats: give 1 to {MOST - 1:,}")
    images = {port: f"{top}_{port.partition('_')[0].lower()}.dat" for port in cell.roms}
    for port, rom in cell.roms.items():
        (folder / images[port]).write_text(rom.text())
    text = TEMPLATE.read_text()
    for key, value in {"TOP": top, **_values(cell, steps, images)}.items():
        text = text.replace(f"${key}$", str(value))
    (folder / f"{top}.v").write_text(text)


def _values(cell: Cell, steps: int, images: dict[str, str]) -> dict[str, str | int]:
    given, result, chosen = cell.inputs["in"], cell.outputs["out"], cell.parameters
    places = steps * given.beats
    bits = max(1, (places - 1).bit_length())
    padded, padding = given.width + -given.width % 8, -result.width % 8
    settings = [f"      .{name}({value})" for name, value in chosen.items()]
    settings += [f'      .{port}("./{name}")' for port, name in images.items()]
    return {
        "HEADS": given.channels,
        "MODES": chosen["MODES"] * chosen["GROUPS"],
        "HEAD_LANES": chosen["HEADS"],
        "MODE_LANES": chosen["MODES"],
        "STEPS": steps,
        "BEATS": given.beats,
        "PLACES": places,
        "PLACE": f"[{bits - 1}:0]",
        "LAST": f"place >= {bits}'d{places - given.beats}" if steps > 1 else "1'b1",
        "IN": f"[{given.width - 1}:0]",
        "IN_PADDED": f"[{padded - 1}:0]",
        "OUT": f"[{result.width - 1}:0]",
        "OUT_PADDED": f"[{result.width + padding - 1}:0]",
        "OUT_DATA": f"{{{padding}'b0, data}}" if padding else "data",
        "PARAMETERS": ",\n".join(settings),
    }


def sources() -> list[Path]:
    """The library's files that the module is made of, each before those that use it."""
    found: dict[str, Path] = {}

    def visit(name: str) -> None:
        path = LIBRARY / f"{name}.sv"
        for used in re.findall(r"^\s*(ssmq_\w+) #", path.read_text(), re.MULTILINE):
            if used not in found:
                visit(used)
        found[name] = path

    for name in ("ssmq_counter", "ssmq_scan"):
        visit(name)
    return list(found.values())
