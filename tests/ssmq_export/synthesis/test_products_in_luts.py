"""Products that a folding or a part without enough multipliers puts into LUTs are there, on every family."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from ssmq_export import synthesis
from ssmq_export.rtl.names import LIBRARY
from ssmq_export.synthesis import tools
from ssmq_export.synthesis.families import ECP5, ICE40, XILINX

needs_yosys = pytest.mark.skipif(bool(synthesis.missing(("yosys",))), reason=synthesis.INSTALL)
FAMILIES = {"ecp5": (ECP5, "MULT18X18D"), "ice40": (ICE40, "SB_MAC16"), "xilinx": (XILINX, "DSP48E1")}


def cells(folder, family: str, style: int) -> Counter:
    """Of the multiplier of a family, 9 x 7 bits."""
    flow, _ = FAMILIES[family]
    sources = [LIBRARY / family / "ssmq_multiply.sv", LIBRARY / "ssmq_rows.sv"]
    for path in sources:
        (folder / path.name).write_bytes(path.read_bytes())
    settings = f"chparam -set A_BITS 9 -set B_BITS 7 -set STYLE {style} ssmq_multiply"
    commands = [f"read_verilog -sv -defer {' '.join(path.name for path in sources)}", settings]
    commands += [f"{flow.synthesis} {flow.mapped} -top ssmq_multiply", "write_json netlist.json"]
    (folder / "all.ys").write_text("\n".join(commands) + "\n")
    tools.run("yosys", ["-q", "all.ys"], folder)
    top = next(m for m in json.loads((folder / "netlist.json").read_text())["modules"].values() if m["attributes"].get("top"))
    return Counter(cell["type"] for cell in top["cells"].values())


@needs_yosys
@pytest.mark.parametrize("family", ["ecp5", *(pytest.param(name, marks=pytest.mark.slow) for name in ("ice40", "xilinx"))])
def test_a_product_in_luts_takes_no_multiplier(tmp_path, family):
    """A tool that is given a product to make what it likes of it takes a multiplier on ECP5."""
    found = cells(tmp_path, family, style=1)
    assert found[FAMILIES[family][1]] == 0 and sum(count for kind, count in found.items() if "LUT" in kind) > 40
    assert cells(tmp_path, family, style=0)[FAMILIES[family][1]] == 1
