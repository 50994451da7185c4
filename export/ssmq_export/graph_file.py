"""Read a graph that this program wrote, or say in one message why the file is not one; write one whole."""

from __future__ import annotations

import tempfile
from pathlib import Path

import onnx

from .builder import FORMATS_KEY
from .errors import ExportError


FORM_KEY = "ssmq.form"
# The integer forms: of one step, and of a whole sequence.
DATAFLOW = ("dataflow", "sequence-dataflow")


def load_graph(path: Path | str, *forms: str) -> onnx.ModelProto:
    """The graph in ``path``, of one of ``forms`` (step, sequence, dataflow, sequence-dataflow).

    External data is never read.
    """
    path = Path(path)
    advice = f"give the {' or '.join(f'{form}.onnx' for form in forms)} that `ssmq export` writes"
    if not path.is_file():
        raise ExportError(f"{path}: no such file; {advice}")
    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:  # arbitrary bytes: the decoder raises whatever it stumbles over
        raise ExportError(
            f"{path}: not an ONNX file, or a truncated one ({type(error).__name__}); {advice}"
        ) from error
    properties = {p.key: p.value for p in model.metadata_props}
    found = properties.get(FORM_KEY)
    if found not in forms or FORMATS_KEY not in properties:
        described = f"a {found} graph" if found else "no graph of this program"
        raise ExportError(f"{path}: holds {described}; {advice}")
    return model


def property_of(model: onnx.ModelProto, key: str) -> str | None:
    """A metadata property of ``model``, None if it has none of that name."""
    return next((p.value for p in model.metadata_props if p.key == key), None)


def save_graph(model: onnx.ModelProto, path: Path) -> None:
    """Write ``model`` whole or not at all; folders on the way are made."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".graph-") as scratch:
            onnx.save(model, Path(scratch) / path.name)
            (Path(scratch) / path.name).replace(path)
    except OSError as error:
        raise ExportError(f"{path}: cannot be written ({error.strerror}): give another place") from error
