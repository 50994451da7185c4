"""Read a graph that this program wrote, or say in one message why the file is not one; write one whole."""

from __future__ import annotations

import tempfile
from pathlib import Path

import onnx

from ..dataflow.keys import DATAFLOW, FORM_KEY, property_of
from ..errors import ExportError
from .admission import admit
from .ranges import refuse_narrow

MOST_BYTES = 1 << 29


def load_graph(path: Path | str, *forms: str) -> onnx.ModelProto:
    """The graph in ``path``, of one of ``forms`` (step, dataflow, sequence-dataflow), as ``door.admit`` makes it.

    Other files that it names are never opened.
    """
    path = Path(path)
    advice = f"give the {' or '.join(f'{form}.onnx' for form in forms)} that `ssmq export` writes"
    if not path.is_file():
        raise ExportError(f"{path}: no such file; {advice}")
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise ExportError(f"{path}: {size:,} bytes are more than the {MOST_BYTES:,} that are read; {advice}")
    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:  # arbitrary bytes: the decoder raises whatever it stumbles over
        raise ExportError(f"{path}: not an ONNX file, or a truncated one ({type(error).__name__}); {advice}") from error
    try:
        admitted = admit(model, *forms)
        if property_of(admitted, FORM_KEY) in DATAFLOW:
            refuse_narrow(admitted)
        return admitted
    except ExportError as error:
        raise ExportError(f"{path}: {error}") from error


def graph_of(graph: onnx.ModelProto | Path | str, *forms: str) -> onnx.ModelProto:
    """``graph`` itself, or that of the file that it names, of one of ``forms``."""
    return graph if isinstance(graph, onnx.ModelProto) else load_graph(graph, *forms)


def save_graph(model: onnx.ModelProto, path: Path) -> None:
    """Write ``model`` whole or not at all; folders on the way are made."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".graph-") as scratch:
            onnx.save(model, Path(scratch) / path.name)
            (Path(scratch) / path.name).replace(path)
    except OSError as error:
        raise ExportError(f"{path}: cannot be written ({error.strerror}): give another place") from error
