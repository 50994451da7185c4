"""Read a graph that this program wrote, or say in one message why the file is not one; write one whole."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import onnx

from .builder import FORM_KEY, FORMATS_KEY, LENGTH_KEY
from .door import admit, refuse_narrow
from .errors import ExportError

# The integer forms: of one step, and of a whole sequence.
DATAFLOW = ("dataflow", "sequence-dataflow")
MOST_BYTES = 1 << 29

__all__ = ["DATAFLOW", "FORM_KEY", "length_of", "load_graph", "property_of", "save_graph"]


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
    u = json.loads(property_of(model, FORMATS_KEY))["u"]
    kind = u.get("datatype") or f"{'' if u['signed'] else 'U'}INT{u['bits']}"
    if kind != "UINT8" or set(np.ravel(u["exponent"]).tolist()) != {-8}:
        raise ExportError(f"u: its format in {FORMATS_KEY} is not that of inputs, UINT8 times 2**-8: export the graph again")


def property_of(model: onnx.ModelProto, key: str) -> str | None:
    """A metadata property of ``model``, None if it has none of that name."""
    return next((p.value for p in model.metadata_props if p.key == key), None)


def length_of(model: onnx.ModelProto) -> int:
    """Steps of a sequence, of a model that was admitted."""
    length = property_of(model, LENGTH_KEY)
    if length is None:
        raise ExportError(f"the graph does not say how long a sequence is ({LENGTH_KEY}): export it with `ssmq export`")
    return int(length)


def save_graph(model: onnx.ModelProto, path: Path) -> None:
    """Write ``model`` whole or not at all; folders on the way are made."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".graph-") as scratch:
            onnx.save(model, Path(scratch) / path.name)
            (Path(scratch) / path.name).replace(path)
    except OSError as error:
        raise ExportError(f"{path}: cannot be written ({error.strerror}): give another place") from error
