"""``NetlistModel``: the netlist that synthesis has left of generated RTL, run like the RTL itself."""

from __future__ import annotations

from pathlib import Path

from ..rtl.model import RtlModel
from ..rtl.simulator import Simulator, compiled
from . import tools
from .devices import Device
from .flow import NETLIST
from .models import models_of
from .stages import stage

FLAT = "flat.v"


class NetlistModel(RtlModel):
    """As ``RtlModel`` of ``folder``, of the netlist in ``home``, with the cells of ``device``'s family."""

    def __init__(self, folder: Path, home: Path, device: Device):
        self._home = home.absolute()
        _dissolve(self._home, device)
        super().__init__(folder)

    @property
    def home(self) -> Path:
        return self._home / "simulation"

    def _sources(self) -> list[Path]:
        return [self._home / "flat" / FLAT]

    def _build(self, sources: list[Path], build: Path, **more) -> Simulator:
        top, pins = self.manifest.top, self._pins()
        return compiled(top, self.folder, sources, *pins, build, optimise="-O0", lenient=True, **more)


def _dissolve(home: Path, device: Device) -> None:
    """Stage: the netlist with what its cells do in place of the cells.

    Yosys reads them, as it knows what the makers' descriptions leave open, such as ports that are high unless connected.
    """
    tools.require(("yosys",))
    script = [f"read_verilog -overwrite +/{name}" for name in device.flow.cells]
    script += ["read_verilog -overwrite models.v", f"read_verilog {NETLIST}", "hierarchy -check -auto-top", "proc"]
    script += ["flatten", "opt_clean", f"write_verilog -noattr {FLAT}"]
    given = {
        "flat.ys": "\n".join(script).encode(),
        "models.v": models_of(device.flow.models).encode(),
        NETLIST: (home / NETLIST).read_bytes(),
    }
    stage(home / "flat", given, tools.version("yosys"), lambda work: tools.run("yosys", ["-q", "flat.ys"], work))
