"""Streams: the container of the codes, and the width of one element."""

from __future__ import annotations

from collections.abc import Iterator

from onnx import TensorProto

from ...dataflow.datatype import bits, is_integer
from ..catalogue import Hit, rule
from ..tidy_view import TidyView

# An AXI stream of Vitis HLS is no wider.
WIDEST = 8191


@rule("float32-container", "warning", "narrow the sums to 24 bits, so that ssmq export writes float32 containers")
def float32_container(view: TidyView) -> Iterator[Hit]:
    """FINN keeps integers in float32 tensors; another container runs in qonnx, but must be cast before FINN takes it."""
    if not view.lowered:
        return
    other = [
        name
        for name, info in view.infos.items()
        if is_integer(view.datatypes.get(name, ""))
        and info.type.tensor_type.elem_type not in (TensorProto.FLOAT, TensorProto.UNDEFINED)
    ]
    if other:
        element = view.infos[other[0]].type.tensor_type.elem_type
        container = TensorProto.DataType.Name(element) if element in TensorProto.DataType.values() else str(element)
        yield "", other[0], f"is stored as {container}, and {len(other) - 1} further tensors are not float32"


@rule("stream-width", "warning", "narrow the tensor: no folding makes an element thinner")
def stream_width(view: TidyView) -> Iterator[Hit]:
    """HLS streams end at 8191 bits. Folding divides the channels of a stream, but never one element."""
    for name, datatype in view.datatypes.items():
        width = bits(datatype)
        if name in view.infos and width is not None and width > WIDEST:
            yield "", name, f"is {datatype}: one element is wider than {WIDEST} bits"
