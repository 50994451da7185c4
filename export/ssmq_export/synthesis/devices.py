"""The parts that a design can be synthesised for."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..errors import ExportError
from ..estimates.parts import PARTS, Part, find_part
from .families import ECP5, GOWIN, ICE40, XILINX, Flow
from .harness import CLOCK, GIVEN, SEEN


@dataclass(frozen=True)
class Device:
    """``place``: how nextpnr is told of the part; ``pins``: free ones for the harness, where pins must be given."""

    part: Part
    flow: Flow
    place: str = ""
    family: str = ""
    pins: dict[str, str] = field(default_factory=dict)
    speeds: tuple[int, ...] = ()

    def named(self, speed: int | None) -> str:
        return f"{self.part.name}-{speed}" if speed else self.part.name


def _ecp5(size: str) -> Device:
    return Device(PARTS[f"lfe5u-{size}f"], ECP5, f"--{size}k --package CABGA381", speeds=(6, 7, 8))


DEVICES = {
    device.part.name: device
    for device in (
        *(_ecp5(size) for size in ("25", "45", "85")),
        Device(PARTS["ice40up5k"], ICE40, "--up5k --package sg48"),
        Device(PARTS["ice40hx8k"], ICE40, "--hx8k --package ct256"),
        # The clock, a button and an LED of Tang Nano 9K and 20K.
        Device(PARTS["gw1nr-9"], GOWIN, "GW1NR-LV9QN88PC6/I5 GW1N-9C", "gw1n", {CLOCK: "52", GIVEN: "4", SEEN: "10"}),
        Device(PARTS["gw2ar-18"], GOWIN, "GW2AR-LV18QN88C8/I7 GW2A-18C", "gw2a", {CLOCK: "4", GIVEN: "88", SEEN: "15"}),
        *(Device(PARTS[name], XILINX) for name in ("xc7z010", "xc7z020", "xc7a35t")),
    )
}


def find_device(name: str, speed: int | None = None) -> tuple[Device, int | None]:
    """The device and the speed grade, the slowest unless it is given."""
    part = find_part(name)
    if part.name not in DEVICES:
        raise ExportError(f"{part.name}: no open synthesis for it: known parts: {', '.join(DEVICES)}")
    device = DEVICES[part.name]
    if speed is not None and speed not in device.speeds:
        told = f"speed grades {', '.join(map(str, device.speeds))}" if device.speeds else "no speed grades to choose from"
        raise ExportError(f"{part.name} has {told}, not {speed}")
    return device, speed or (device.speeds[0] if device.speeds else None)
