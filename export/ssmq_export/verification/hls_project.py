"""One step graph, two engines: qonnx node by node, and hls4ml's C++. What every step keeps is compared, and the output where
it counts."""

from __future__ import annotations

import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from ..errors import ExportError
from ..estimates.parts import amd_part
from ..hls4ml.project import build, require_tools
from .agreement import Agreement, compare
from .engines import run_steps

# What hls4ml writes into every project: a folder that holds it is one that may be replaced.
_MARK = "hls4ml_config.yml"


@dataclass(frozen=True)
class Comparison:
    """``agreement`` counts codes of all output ports. ``seconds``: build (conversion and g++), hls4ml, qonnx."""

    agreement: Agreement
    steps: int
    seconds: dict[str, float]


def compare_project(step: onnx.ModelProto, codes: np.ndarray, folder: Path, part: str | None = None) -> Comparison:
    """Build the HLS project of ``step`` and compare it with qonnx on ``codes`` ``(B, T)`` or ``(B, T, C)``.

    The project is left in ``folder`` if no code differs. An earlier project there is replaced, any other folder that
    is not empty refused with ExportError.
    """
    require_tools()
    if part is not None:
        amd_part(part)
    if folder.exists() and not (folder / _MARK).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise ExportError(f"{folder}: exists and is no HLS project; give another folder")
    ports = [port.name for port in step.graph.output]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".hls4ml-") as scratch:
        began = time.perf_counter()
        project = build(step, Path(scratch) / "project", part)
        built = time.perf_counter()
        found = project.run(codes, ports)
        ran = time.perf_counter()
        expected = run_steps(step, codes, ports)
        seconds = {"build": built - began, "hls4ml": ran - built, "qonnx": time.perf_counter() - ran}
        agreement = compare("hls4ml C++", expected, found)
        if not agreement.differing:
            _leave(Path(scratch) / "project", folder)
    return Comparison(agreement, codes.shape[1], {name: round(value, 3) for name, value in seconds.items()})


def _leave(project: Path, folder: Path) -> None:
    """Move a finished project to its place, without what holds only in the temporary one."""
    for library in (project / "firmware").glob("*.so"):
        library.unlink()  # it looks for its weights where it was built; build_lib.sh makes it anew
    config = project / _MARK
    config.write_text(config.read_text().replace(str(project), str(folder.resolve())))
    if folder.exists():
        shutil.rmtree(folder)
    project.replace(folder)
