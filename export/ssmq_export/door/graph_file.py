"""Read a graph that this program wrote, or say in one message why the file is not one; write one whole."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import onnx

from ..dataflow.keys import DATAFLOW, FORM_KEY, FORMATS_KEY, property_of
from ..dataflow.ports import ports_of
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
        raise ExportError(
            f"{path}: not an ONNX file, or a truncated one ({type(error).__name__}); {advice}"
        ) from error
    try:
        admitted = admit(model, *forms)
        _refuse_inputs(admitted)
        if property_of(admitted, FORM_KEY) in DATAFLOW:
            refuse_narrow(admitted)
        return admitted
    except ExportError as error:
        raise ExportError(f"{path}: {error}") from error


def _refuse_inputs(model: onnx.ModelProto) -> None:
    """Sequences are fed as codes of 8 bits times 2**-8, whatever a file says of its input."""
    port = ports_of(model).input
    if port.format.datatype != "UINT8" or set(np.ravel(port.format.exponent).tolist()) != {-8}:
        raise ExportError(
            f"{port.name}: its format in {FORMATS_KEY} is not that of inputs, UINT8 times 2**-8: export the graph again"
        )


def save_graph(model: onnx.ModelProto, path: Path) -> None:
    """Write ``model`` whole or not at all; folders on the way are made."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".graph-") as scratch:
            onnx.save(model, Path(scratch) / path.name)
            (Path(scratch) / path.name).replace(path)
    except OSError as error:
        raise ExportError(f"{path}: cannot be written ({error.strerror}): give another place") from error
