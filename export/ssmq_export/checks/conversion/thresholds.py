"""MultiThreshold: here what the rules on thresholds leave to say."""

from __future__ import annotations

from collections.abc import Iterator

import onnx

from ...dataflow.datatype import is_signed
from ...dataflow.keys import QONNX_DOMAIN
from ..tidy_view import TidyView
from .site import Site
from .table import converts

BY_RANK = {2: "NC", 3: "NWC", 4: "NCHW"}


def absorbed(view: TidyView, node: onnx.NodeProto) -> bool:
    """Whether FINN makes a MultiThreshold part of the MVAU before it."""
    source = node.input[0]
    before = view.producers.get(source, [None])[0]
    alone = len(view.consumers.get(source, [])) == 1
    return before is not None and before.op_type in ("MatMul", "XnorPopcountMatMul") and alone


@converts(
    "MultiThreshold", becomes="Thresholding, or part of the MVAU before it", domain=QONNX_DOMAIN, codes=(0,), vectors=True
)
def multi_threshold(site: Site) -> Iterator[str]:
    """Channels last, unless all share one row of thresholds; no negative threshold for data that is never negative."""
    values, rank = site.constant(1), len(site.shape() or ())
    layout = site.text("data_layout", "") or BY_RANK.get(rank, "NC")
    axis = layout.index("C") if "C" in layout else 1
    if rank > 1 and axis >= rank:
        yield f"has the data layout {layout} and {rank} dimensions"
    elif rank > 1 and values is not None and values.ndim == 2 and len(values) > 1 and axis != rank - 1:
        yield f"has its channels on axis {axis} (data layout {layout}), and FINN on the last one"
    maker = site.producer
    summed = absorbed(site.view, site.node) and maker is not None and maker.op_type == "MatMul"
    if values is not None and values.size and values.min() < 0 and not summed and not is_signed(site.hardware_type()):
        yield f"has thresholds below 0, and its data is {site.hardware_type()}: FINN stops at them; clip them to 0"
