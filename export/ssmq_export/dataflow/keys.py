"""What the graphs of this program are marked with: operator domains, and keys of the metadata of a model and of a node."""

from __future__ import annotations

import json

import onnx

from ..errors import ExportError

OPSET = 18
QONNX_DOMAIN = "qonnx.custom_op.general"
# The module that qonnx imports for DiagonalScan: ours, see ``custom_op``.
SCAN_DOMAIN, SCAN_VERSION = "ssmq_export.custom_op", 1
FORM_KEY, FORMATS_KEY, LENGTH_KEY, PORTS_KEY = "ssmq.form", "ssmq.formats", "ssmq.length", "ssmq.ports"
# What the model was made from, and by which releases.
CONFIG_KEY, VERSIONS_KEY = "ssmq.config", "ssmq.versions"
# Of a node: the difference of two counts that stands for a table.
TABLE_MARK = "ssmq.non_monotone"
# Of a node: its folding.
PE_KEY, SIMD_KEY, RES_TYPE_KEY = "ssmq.PE", "ssmq.SIMD", "ssmq.resType"
# The integer forms: of one step, and of a whole sequence.
DATAFLOW = ("dataflow", "sequence-dataflow")


def property_of(model: onnx.ModelProto, key: str) -> str | None:
    """A metadata property of ``model``, None if it has none of that name."""
    return next((p.value for p in model.metadata_props if p.key == key), None)


def formats_of(model: onnx.ModelProto) -> dict[str, dict]:
    """How the tensors of a model of ours are coded, by name; empty if it does not say."""
    return json.loads(property_of(model, FORMATS_KEY) or "{}")


def length_of(model: onnx.ModelProto) -> int:
    """Steps of a sequence, of a model that was admitted."""
    length = property_of(model, LENGTH_KEY)
    if length is None:
        raise ExportError(
            f"the graph does not say how long a sequence is ({LENGTH_KEY}): give the file as `ssmq export` wrote it"
        )
    return int(length)
