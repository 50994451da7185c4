"""Registers behind block RAMs, moved into the block RAMs.

Yosys maps the first of the two cycles in which the library reads a memory to the block RAM, and leaves the second to
registers in the fabric; the RAM's own output register is several nanoseconds faster. A side of a RAM is changed where
every bit that is read goes to one plain register and nowhere else, all of them with the RAM's clock and one enable.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Side:
    """A side of a block RAM that is read: its ports, and how its output register is turned on. ``width``: the parameter that
    says how wide it is, and the widths at which these are its ports; ``reset``, which the register has too, must be idle."""

    data: tuple[str, ...]
    clock: str
    enables: tuple[str, ...]
    reset: str
    registered: dict[str, str]
    width: tuple[str, tuple[int, ...]]


@dataclass(frozen=True)
class Register:
    """A plain register: its ports, and the parameters that it has as such. ``enable`` may be missing from a cell, and says
    nothing where a parameter is as in ``always``."""

    given: str
    result: str
    clock: str
    enable: str
    settings: dict[str, str] = field(default_factory=dict)
    idle: tuple[str, ...] = ()
    always: tuple[str, str] = ("", "")


def packed(module: dict, rams: Mapping[str, tuple[Side, ...]], registers: Mapping[str, Register]) -> int:
    """Change ``module``, of a netlist as Yosys writes it in JSON, in place; how many registers have gone."""
    cells, readers = module["cells"], _readers(module)
    gone = 0
    for cell in [cell for cell in cells.values() if cell["type"] in rams]:
        for side in rams[cell["type"]]:
            behind = _registers_behind(cell, side, cells, readers, registers)
            if behind:
                _pack(cell, side, behind, cells, registers)
                gone += len(behind)
    return gone


def _readers(module: dict) -> dict[int, list[tuple[str, str]]]:
    """Bit -> (cell, port) that read it; ("", port) is one of the module."""
    found = defaultdict(list)
    for name, cell in module["cells"].items():
        for port, bits in cell["connections"].items():
            if cell["port_directions"][port] != "output":
                for bit in bits:
                    found[bit].append((name, port))
    for name, port in module["ports"].items():
        for bit in port["bits"]:
            found[bit].append(("", name))
    return found


def _bits(cell: dict, side: Side) -> Iterator[tuple[str, int, int]]:
    for port in side.data:
        for place, bit in enumerate(cell["connections"].get(port, [])):
            if isinstance(bit, int):
                yield port, place, bit


def _registers_behind(cell, side, cells, readers, registers) -> dict[tuple[str, int], str]:
    """(port, place) of the RAM -> the register behind it; empty if the side is not to be changed."""
    parameter, widths = side.width
    if number(cell["parameters"][parameter]) not in widths or cell["connections"].get(side.reset, ["0"]) != ["0"]:
        return {}
    found, enables = {}, set()
    for port, place, bit in _bits(cell, side):
        read = readers[bit]
        if not read:
            continue
        name, port_read = read[0]
        kind = registers.get(cells[name]["type"]) if name else None
        if len(read) > 1 or kind is None or port_read != kind.given or not _plain(cells[name], kind):
            return {}
        wires = cells[name]["connections"]
        if wires[kind.clock] != cell["connections"][side.clock]:
            return {}
        enables.add(_enable(cells[name], kind))
        found[port, place] = name
    return found if len(enables) == 1 else {}


def _plain(register: dict, kind: Register) -> bool:
    wires = register["connections"]
    has = register["parameters"]
    settings = all(has.get(key, value) == value or (key, has[key]) == kind.always for key, value in kind.settings.items())
    return settings and all(wires.get(port, ["0"]) in (["0"], ["x"]) for port in kind.idle)


def _enable(register: dict, kind: Register) -> tuple:
    name, value = kind.always
    always = register["parameters"].get(name) == value
    return ("1",) if always else tuple(register["connections"].get(kind.enable, ["1"]))


def _pack(cell, side, behind, cells, registers) -> None:
    for (port, place), name in behind.items():
        kind = registers[cells[name]["type"]]
        register = cells.pop(name)
        cell["connections"][port][place] = register["connections"][kind.result][0]
        for enable in side.enables:
            cell["connections"][enable] = list(_enable(register, kind))
    cell["parameters"].update(side.registered)


def number(value: str | int) -> int:
    """A parameter, which is a string of bits where it is no text."""
    return int(value, 2) if isinstance(value, str) and value and set(value) <= {"0", "1"} else -1
