"""Names and domains. Names become C++ identifiers, file names and lines of reports; a domain names a Python module, which
qonnx and FINN import to find the operator."""

from __future__ import annotations

import re
from collections.abc import Iterable

import onnx

from ..dataflow.keys import QONNX_DOMAIN, SCAN_DOMAIN
from ..errors import ExportError

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.]{0,199}")
MOST_TOLD = 480
_FLOAT = ("Mul", "Add", "Sub", "MatMul")
OPERATORS = {
    "step": {*_FLOAT, "Quant", "Cast", "Div", "Neg", "Relu", "Clip", "Sigmoid", "Tanh", "Erf", "Gather"},
    "dataflow": {*_FLOAT, "MultiThreshold"},
    "sequence-dataflow": {*_FLOAT, "MultiThreshold", "DiagonalScan", "ReduceSum"},
}
DOMAINS = {"Quant": QONNX_DOMAIN, "MultiThreshold": QONNX_DOMAIN, "DiagonalScan": SCAN_DOMAIN}
# Other names of the same modules, in graphs of earlier tools.
_ALIASES = {"ai.onnx": "", "onnx.brevitas": QONNX_DOMAIN}


def refuse_names(names: Iterable[str], what: str) -> None:
    """Raise ExportError for the first name that is no plain identifier."""
    for name in names:
        if not NAME.fullmatch(name):
            raise ExportError(
                f"the {what} name {shown(name)} is not plain (letters, digits, _ and ., up to 200 of them, no dot first): "
                f"rename it, or export the graph again"
            )


def shown(text: str) -> str:
    """``text`` as a message may show it: quoted, escaped, not long."""
    return ascii(text if len(text) <= 60 else f"{text[:60]}...")


def printable(message: str) -> str:
    """``message`` on one line of ASCII, not long: it may quote what a file holds."""
    plain = "".join(letter if " " <= letter <= "~" else ascii(letter)[1:-1] for letter in message)
    return plain if len(plain) <= MOST_TOLD else f"{plain[:MOST_TOLD]} ..."


def operator_domain(node: onnx.NodeProto) -> str:
    """The domain of a node's operator as we write it. Raises ExportError for any other than the operator's own."""
    found = _ALIASES.get(node.domain, node.domain)
    own = DOMAINS.get(node.op_type, "")
    # Some tools forget the domain of Quant and of MultiThreshold.
    if found not in ("", own):
        raise ExportError(
            f"node {shown(node.name)}: {shown(node.op_type)} of the domain {shown(node.domain)} is no operator of ours: "
            f"export the graph again"
        )
    return own


def refuse_foreign(graph: onnx.GraphProto) -> None:
    """Raise ExportError where running ``graph`` would import a module or open a file that it names."""
    for node in graph.node:
        if _ALIASES.get(node.domain, node.domain) not in ("", *DOMAINS.values()):
            raise ExportError(f"node {shown(node.name)}: an operator of the foreign domain {shown(node.domain)} is not run")
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                refuse_foreign(inner)
            for tensor in (attribute.t, *attribute.tensors):
                refuse_external(tensor)
    for tensor in graph.initializer:
        refuse_external(tensor)


def refuse_external(tensor: onnx.TensorProto) -> None:
    """Raise ExportError for values that lie in another file."""
    if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
        raise ExportError(
            f"{shown(tensor.name)}: its values are stored outside the file, which is never opened: save the graph as one "
            f"file (onnx.save without external data)"
        )
