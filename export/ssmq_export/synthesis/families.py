"""What differs from one family to the next: programs and their words, the cells of its netlists, what a report calls them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from .output_registers import Register, Side

# Of a resource: what takes it, and how much of it each takes.
Uses = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Flow:
    """``synthesis``: the command of Yosys; ``mapped`` adds to it for a design without pads.

    ``place``, ``constraints`` and ``pack`` say nextpnr's words, its file of pins, and the program and words that make
    ``bitstream`` of ``placed``. ``cells``: files of Yosys in which its cells are described; ``models`` names those that we
    describe.
    """

    synthesis: str
    cells: tuple[str, ...]
    models: str
    counted: Uses
    mapped: str = ""
    reported: Uses = field(default_factory=dict)
    multipliers: str = ""
    nextpnr: str = ""
    place: Callable[[str], list[str]] = lambda device: []
    constraints: Callable[[Mapping[str, str]], str] = lambda pins: ""
    packer: str = ""
    pack: Callable[[str], list[str]] = lambda device: []
    placed: str = ""
    bitstream: str = ""
    rams: Mapping[str, tuple[Side, ...]] = field(default_factory=dict)
    registers: Mapping[str, Register] = field(default_factory=dict)
    goal: float = 0.0

    @property
    def programs(self) -> tuple[str, ...]:
        return tuple(name for name in ("yosys", self.nextpnr, self.packer) if name)


def _lpf(pins: Mapping[str, str]) -> str:
    """Without a place for every pin nextpnr chooses them."""
    return "".join(f'LOCATE COMP "{pin}" SITE "{site}";\n' for pin, site in pins.items())


def _pcf(pins: Mapping[str, str]) -> str:
    return "".join(f"set_io {pin} {site}\n" for pin, site in pins.items())


def _cst(pins: Mapping[str, str]) -> str:
    return "".join(f'IO_LOC "{pin}" {site};\n' for pin, site in pins.items())


_NARROW, _WIDE = (1, 2, 4, 9, 18), (36,)
_DOA, _DOB = (tuple(f"DO{side}{bit}" for bit in range(18)) for side in "AB")
_OUTREG_A, _OUTREG_B = {"REGMODE_A": "OUTREG"}, {"REGMODE_B": "OUTREG"}
ECP5 = Flow(
    synthesis="synth_lattice -family ecp5",
    cells=("lattice/cells_sim_ecp5.v",),
    models="ecp5",
    multipliers="ecp5",
    counted={"carry": {"CCU2C": 2}},
    reported={"lut": {"TRELLIS_COMB": 1}, "ff": {"TRELLIS_FF": 1}, "dsp": {"MULT18X18D": 1}, "bram": {"DP16KD": 1}},
    nextpnr="nextpnr-ecp5",
    place=lambda device: [*device.split(), "--lpf", "pins", "--lpf-allow-unconstrained", "--textcfg", "placed.config"],
    constraints=_lpf,
    packer="ecppack",
    pack=lambda device: ["--compress", "placed.config", "design.bit"],
    placed="placed.config",
    bitstream="design.bit",
    rams={
        "DP16KD": (
            Side(_DOA, "CLKA", ("OCEA",), "RSTA", _OUTREG_A, ("DATA_WIDTH_A", _NARROW)),
            Side(_DOB, "CLKB", ("OCEB",), "RSTB", _OUTREG_B, ("DATA_WIDTH_B", _NARROW)),
            Side(_DOA + _DOB, "CLKB", ("OCEA", "OCEB"), "RSTB", _OUTREG_A | _OUTREG_B, ("DATA_WIDTH_B", _WIDE)),
        )
    },
    registers={
        "TRELLIS_FF": Register(
            "DI", "Q", "CLK", "CE", {"CLKMUX": "CLK", "CEMUX": "CE", "REGSET": "RESET"}, ("LSR", "M"), ("CEMUX", "1 ")
        )
    },
    goal=200.0,
)
ICE40 = Flow(
    # Without -dsp, which makes wrong sums of registered products: the multiplier of the family is instantiated.
    synthesis="synth_ice40",
    cells=("ice40/cells_sim.v",),
    models="ice40",
    multipliers="ice40",
    counted={
        "ff": {f"SB_DFF{kind}": 1 for kind in ("", "E", "SR", "R", "SS", "S", "ESR", "ER", "ESS", "ES")},
        "carry": {"SB_CARRY": 1},
    },
    reported={"lut": {"ICESTORM_LC": 1}, "dsp": {"ICESTORM_DSP": 1}, "bram": {"ICESTORM_RAM": 1}},
    nextpnr="nextpnr-ice40",
    place=lambda device: [*device.split(), "--pcf", "pins", "--pcf-allow-unconstrained", "--asc", "placed.asc"],
    constraints=_pcf,
    packer="icepack",
    pack=lambda device: ["placed.asc", "design.bin"],
    placed="placed.asc",
    bitstream="design.bin",
    goal=60.0,
)
_DO = ("DO",)
_SINGLE = (Side(_DO, "CLK", ("OCE",), "RESET", {"READ_MODE": "1"}, ("BIT_WIDTH", (*range(1, 37),))),)
_SEMI = (Side(_DO, "CLKB", ("OCE",), "RESETB", {"READ_MODE": "1"}, ("BIT_WIDTH_1", (*range(1, 37),))),)
GOWIN = Flow(
    synthesis="synth_gowin -family {family}",
    mapped="-noiopads",
    cells=("gowin/cells_sim.v",),
    models="gowin",
    counted={},
    # Registers without logic in front of them take the LUT there, and those LUTs are counted.
    reported={
        "lut": {"LUT4": 1},
        "ff": {"DFF": 1},
        "carry": {"ALU": 1},
        "dsp": {"MULT18X18": 1, "MULT9X9": 0.5},
        "bram": {"BSRAM": 1},
    },
    nextpnr="nextpnr-gowin",
    place=lambda device: (
        ["--device", device.split()[0], "--vopt", f"family={device.split()[1]}", "--vopt", "cst=pins"]
        + ["--write", "placed.json"]
    ),
    constraints=_cst,
    packer="gowin_pack",
    pack=lambda device: ["-d", device.split()[1], "-o", "design.fs", "placed.json"],
    placed="placed.json",
    bitstream="design.fs",
    rams={"SP": _SINGLE, "SPX9": _SINGLE, "SDPB": _SEMI, "SDPX9B": _SEMI},
    registers={"DFF": Register("D", "Q", "CLK", "CE"), "DFFE": Register("D", "Q", "CLK", "CE")},
    goal=120.0,
)
XILINX = Flow(
    synthesis="synth_xilinx -family xc7 -flatten -nodsp",
    mapped="-noiopad -noclkbuf",
    cells=("xilinx/cells_sim.v",),
    models="xilinx",
    # Yosys would put sums of registered products into them, a cycle off.
    multipliers="xilinx",
    counted={
        "lut": {**{f"LUT{inputs}": 1 for inputs in range(1, 7)}, "RAM32M": 4, "RAM64M": 4, "SRL16E": 1, "SRLC32E": 1},
        "ff": {f"FD{kind}E": 1 for kind in "RSCP"},
        "carry": {"CARRY4": 4},
        "dsp": {"DSP48E1": 1},
        "bram": {"RAMB18E1": 1, "RAMB36E1": 2},
    },
)
