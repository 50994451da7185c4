"""Registers go into a block RAM where that changes nothing, and stay where it would."""

from __future__ import annotations

import copy

import pytest
from ssmq_export.synthesis.families import ECP5, GOWIN
from ssmq_export.synthesis.output_registers import number, packed

CLOCK, ENABLE, RESULTS = 2, 3, (10, 11)


def register(given: int, result: int, **changes) -> dict:
    wires = {"CLK": [CLOCK], "CE": [ENABLE], "DI": [given], "Q": [result], "LSR": ["0"], "M": ["x"], **changes.pop("wires", {})}
    directions = {port: "output" if port == "Q" else "input" for port in wires}
    settings = {"CLKMUX": "CLK", "CEMUX": "CE", "REGSET": "RESET", **changes}
    return {"type": "TRELLIS_FF", "parameters": settings, "port_directions": directions, "connections": wires}


def netlist(width: int = 9) -> dict:
    """A DP16KD of which two bits are read on side B, each by a register."""
    wires = {"CLKB": [CLOCK], "CEB": [ENABLE], "OCEB": ["1"], "RSTB": ["0"], "DOB0": [4], "DOB1": [5], "DOA0": [6]}
    directions = {port: "output" if port.startswith("DO") else "input" for port in wires}
    settings = {"DATA_WIDTH_A": f"{width:032b}", "DATA_WIDTH_B": f"{width:032b}", "REGMODE_A": "NOREG", "REGMODE_B": "NOREG"}
    ram = {"type": "DP16KD", "parameters": settings, "port_directions": directions, "connections": {**wires, "RSTA": ["0"]}}
    ram["port_directions"]["RSTA"] = "input"
    cells = {"ram": ram, "low": register(4, RESULTS[0]), "high": register(5, RESULTS[1])}
    return {"cells": cells, "ports": {"out": {"direction": "output", "bits": list(RESULTS)}}}


def pack(module: dict) -> int:
    return packed(module, ECP5.rams, ECP5.registers)


def test_registers_of_one_clock_and_enable_become_the_rams():
    module = netlist()
    assert pack(module) == 2
    ram = module["cells"]["ram"]
    assert module["cells"].keys() == {"ram"} and ram["parameters"]["REGMODE_B"] == "OUTREG"
    assert ram["parameters"]["REGMODE_A"] == "NOREG"
    assert (ram["connections"]["DOB0"], ram["connections"]["DOB1"]) == ([RESULTS[0]], [RESULTS[1]])
    assert ram["connections"]["OCEB"] == [ENABLE]


def test_registers_that_are_always_enabled_become_the_rams():
    module = netlist()
    for name in ("low", "high"):
        # As Yosys writes a text of nothing but binary digits.
        module["cells"][name]["parameters"]["CEMUX"] = "1 "
        module["cells"][name]["connections"]["CE"] = ["0"]
    assert pack(module) == 2 and module["cells"]["ram"]["connections"]["OCEB"] == ["1"]


def test_a_read_of_36_bits_uses_both_sides():
    module = netlist(36)
    module["cells"]["low"]["connections"]["DI"] = [6]
    assert pack(module) == 2
    ram = module["cells"]["ram"]
    assert {ram["parameters"][f"REGMODE_{side}"] for side in "AB"} == {"OUTREG"}
    assert ram["connections"]["DOA0"] == [RESULTS[0]] and ram["connections"]["OCEA"] == ram["connections"]["OCEB"] == [ENABLE]


def reader(module):
    module["cells"]["low"]["connections"]["DI"] = ["0"]
    module["cells"]["logic"] = {
        "type": "LUT4", "parameters": {}, "port_directions": {"A": "input"}, "connections": {"A": [4]},
    }  # fmt: skip


def second_reader(module):
    module["ports"]["early"] = {"direction": "output", "bits": [4]}


def pin(module):
    module["cells"]["low"]["connections"]["DI"] = ["0"]
    second_reader(module)


CHANGES = {
    "a pin is behind it": pin,
    "logic is behind it": reader,
    "a pin reads it too": second_reader,
    "two enables": lambda module: module["cells"]["high"]["connections"].update(CE=[9]),
    "another clock": lambda module: module["cells"]["high"]["connections"].update(CLK=[9]),
    "the other edge": lambda module: module["cells"]["high"]["parameters"].update(CLKMUX="INV"),
    "a reset": lambda module: module["cells"]["high"]["connections"].update(LSR=[9]),
    "it starts at one": lambda module: module["cells"]["high"]["parameters"].update(REGSET="SET"),
    "it has a second input": lambda module: module["cells"]["high"]["connections"].update(M=[9]),
    "its width is a text": lambda module: module["cells"]["ram"]["parameters"].update(DATA_WIDTH_A="X9", DATA_WIDTH_B="X9"),
    "it is too narrow": lambda module: module["cells"]["ram"]["parameters"].update(DATA_WIDTH_B=f"{3:032b}"),
    "the RAM is reset": lambda module: module["cells"]["ram"]["connections"].update(RSTB=[9]),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_would_change_something_stays(change):
    module = netlist()
    change(module)
    before = copy.deepcopy(module)
    assert pack(module) == 0 and module == before


def test_a_register_without_enable_leaves_the_rams_on():
    wires = {"CLKB": [CLOCK], "RESETB": ["0"], "OCE": ["1"], "DO": [4, "x"]}
    ram = {
        "type": "SDPX9B", "parameters": {"BIT_WIDTH_1": f"{9:032b}", "READ_MODE": "0"}, "connections": wires,
        "port_directions": {port: "output" if port == "DO" else "input" for port in wires},
    }  # fmt: skip
    behind = {
        "type": "DFF", "parameters": {}, "connections": {"D": [4], "Q": [10], "CLK": [CLOCK]},
        "port_directions": {"D": "input", "Q": "output", "CLK": "input"},
    }  # fmt: skip
    module = {"cells": {"ram": ram, "behind": behind}, "ports": {"out": {"direction": "output", "bits": [10]}}}
    assert packed(module, GOWIN.rams, GOWIN.registers) == 1
    assert (ram["connections"]["DO"], ram["connections"]["OCE"], ram["parameters"]["READ_MODE"]) == ([10, "x"], ["1"], "1")


def test_a_parameter_is_a_number_where_it_is_bits():
    assert [number(value) for value in ("1001", "0", "", "1 ", "X9", "102", 9)] == [9, 0, -1, -1, -1, -1, -1]
