"""Write a sequence graph as a folder of RTL: sources, memories, manifest, test vectors, packaging."""

from __future__ import annotations

import re
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import onnx

from ..checks import check_model
from ..dataflow.folding import Folding, foldings_of
from ..dataflow.graph import DataflowGraph
from ..dataflow.sequences import noise
from ..door import admit
from ..door.graph_file import save_graph
from ..errors import ExportError
from .build import Design, build
from .evaluate import evaluated
from .manifest import MANIFEST, NAME, Manifest, manifest_of
from .multipliers import with_multipliers
from .names import LIBRARY, TAKEN, Names
from .packaging import core_file, packaging_script, readme, self_test
from .schedule import queued
from .serial import build_serial
from .verilog import top_level

# What the design itself is, in ``RTL``; the library's modules and the memories lie beside it.
RTL, TEST, TOP, GRAPH, FAMILIES = "rtl", "test", "network", "graph.onnx", "families"
TESTED_SEQUENCES, TESTED_STEPS = 2, 24
Shape = Literal["dataflow", "serial"]
SHAPES = {"dataflow": build, "serial": build_serial}


def write_rtl(
    model: onnx.ModelProto, folder: Path, name: str = TOP, shape: Shape = "dataflow", multipliers: int | None = None
) -> Manifest:
    """Generate the RTL of ``model``, a sequence dataflow graph, into ``folder``; what was generated there is replaced.

    Its foldings are those that the graph keeps, one lane each where it keeps none. ``multipliers``: how many of the device
    there are, if not as many as there are products. Raises ExportError, and leaves nothing
    behind, for a graph that the checker refuses, an operation without RTL, lanes that do not divide, and a folder that
    holds something else.
    """
    if not re.fullmatch(NAME, name) or name.lower() in TAKEN or name.lower().startswith("ssmq_"):
        raise ExportError(f"{name!r} is no name for a module: give letters, digits and underscores, none of Verilog's words")
    model = admit(model, "sequence-dataflow")
    _refuse_illegal(model)
    _refuse_other(folder)
    graph, design = designed(model, name, shape, multipliers)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".rtl-") as scratch:
        made = Path(scratch) / "rtl"
        manifest = _write(graph, design, made, name)
        save_graph(model, made / GRAPH)
        if folder.exists():
            folder.replace(Path(scratch) / "earlier")
        made.replace(folder)
    return manifest


def designed(
    model: onnx.ModelProto, name: str = TOP, shape: Shape = "dataflow", multipliers: int | None = None
) -> tuple[DataflowGraph, Design]:
    """The graph of an admitted model, and what ``write_rtl`` writes of it."""
    graph = DataflowGraph(model)
    foldings = foldings_of(model, graph.operations)
    if foldings is None:
        foldings = [Folding((1,) * len(operation.dims)) for operation in graph.operations]
    design = SHAPES[shape](graph, foldings, Names(name))
    if multipliers is not None:
        design = replace(design, cells=with_multipliers(design.cells, multipliers))
    return graph, queued(design)


def _refuse_illegal(model: onnx.ModelProto) -> None:
    errors = [finding for finding in check_model(model) if finding.severity == "error"]
    if errors:
        first = errors[0]
        raise ExportError(
            f"{len(errors)} legality errors, first {first.rule} at {first.node or first.tensor}: {first.message}; {first.fix}"
        )


def _refuse_other(folder: Path) -> None:
    if folder.exists() and not (folder / MANIFEST).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise ExportError(f"{folder}: exists and holds no generated RTL: give another folder, or remove it")


def _write(graph: DataflowGraph, design: Design, folder: Path, name: str) -> Manifest:
    (folder / RTL).mkdir(parents=True)
    (folder / TEST).mkdir()
    modules = {cell.module for cell in design.cells}
    for path in sorted(LIBRARY.glob("*.sv")):
        shutil.copyfile(path, folder / RTL / path.name)
    for path in sorted(LIBRARY.glob("*/*.sv")):
        (folder / FAMILIES / path.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, folder / FAMILIES / path.parent.name / path.name)
    for cell in design.cells:
        for rom in cell.roms.values():
            (folder / RTL / f"{rom.name}.mem").write_text(rom.text())
    heading = f"{design.given.name} -> {design.result.name}: {len(design.cells)} instances of {len(modules)} modules"
    (folder / RTL / f"{name}.sv").write_text(
        top_level(design.cells, {"in": design.given}, {"out": design.result}, name, heading)
    )
    counts = _write_vectors(graph, folder / TEST)
    listed = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    manifest = manifest_of(graph, design, name, listed)
    (folder / TEST / "self_test.sv").write_text(self_test(manifest, counts))
    (folder / f"{name}.core").write_text(core_file(manifest))
    (folder / "package.tcl").write_text(packaging_script(manifest))
    (folder / "README.md").write_text(readme(manifest))
    (folder / MANIFEST).write_text(manifest.model_dump_json(indent=1) + "\n")
    return manifest


def _write_vectors(graph: DataflowGraph, folder: Path) -> tuple[int, int]:
    """Random codes and what the graph makes of them: {last, element} a beat, in hexadecimal. How many of each."""
    port = graph.ports.output
    steps = min(graph.length or TESTED_STEPS, TESTED_STEPS)
    codes = noise(graph.ports.input, TESTED_SEQUENCES, steps)
    found = evaluated(graph, codes).reshape(TESTED_SEQUENCES, -1, port.channels)
    for name, elements in (("given", codes), ("expected", found)):
        last = np.zeros(elements.shape, np.int64)
        last[:, -1] = 1
        rows = zip(elements.reshape(-1).tolist(), last.reshape(-1).tolist(), strict=True)
        (folder / f"{name}.mem").write_text("".join(f"{(end << 64) | (value & (1 << 64) - 1):017x}\n" for value, end in rows))
    return codes.size, found.size
