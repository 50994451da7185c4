"""A netlist placed and routed on a part, or one message that says of what the part has too little."""

from __future__ import annotations

import json
from pathlib import Path

from onnx import ModelProto

from ..rtl.manifest import Manifest
from . import tools
from .devices import Device
from .flow import REPORT, route
from .report import overfull
from .shortage import too_small


def placed(
    netlist: Path, device: Device, speed: int | None, mhz: float, seed: int, pins: str, folder: Path, graph: ModelProto,
    manifest: Manifest,
) -> dict:  # fmt: skip
    """nextpnr's report of ``route``; of a part that is too small the message tells which folding of ``graph`` fits in place
    of the one that ``manifest`` is of."""
    try:
        route(netlist, device, speed, mhz, seed, pins, folder)
    except tools.ToolError as error:
        used, lacks = overfull(error.log, device.flow, device.part)
        if lacks:
            raise too_small(device.part, lacks, used, graph, manifest) from error
        raise
    return json.loads((folder / REPORT).read_text())
