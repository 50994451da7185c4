"""A multiplier of LUTs takes none of the device, whichever family's file it comes from."""

from __future__ import annotations

import re

import pytest
from ssmq_export import synthesis
from ssmq_export.rtl.names import LIBRARY
from ssmq_export.synthesis import tools

pytestmark = pytest.mark.skipif(bool(synthesis.missing(("yosys",))), reason=synthesis.INSTALL)


@pytest.mark.parametrize(("style", "taken"), [(0, 1), (1, 0)])
def test_what_is_asked_for_is_what_is_taken(style, taken, tmp_path):
    for path in (LIBRARY / "ecp5" / "ssmq_multiply.sv", LIBRARY / "ssmq_rows.sv"):
        (tmp_path / path.name).write_text(path.read_text())
    # Wide enough for Yosys to infer one.
    script = f"""read_verilog -sv -defer ssmq_multiply.sv ssmq_rows.sv
    chparam -set A_BITS 12 -set B_BITS 10 -set STYLE {style} ssmq_multiply
    synth_lattice -family ecp5 -top ssmq_multiply
    write_verilog -noattr netlist.v"""
    (tmp_path / "script.ys").write_text(script)
    tools.run("yosys", ["-q", "script.ys"], tmp_path)
    assert len(re.findall(r"\bMULT18X18D\b", (tmp_path / "netlist.v").read_text())) == taken
