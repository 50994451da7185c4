"""``DiagonalScan`` as qonnx executes it; see ``dataflow.diagonal_scan``."""

from __future__ import annotations

import numpy as np
from onnx import helper
from qonnx.core.datatype import DataType
from qonnx.custom_op.base import CustomOp

from ..dataflow.datatype import integer_range, integer_type
from ..dataflow.diagonal_scan import output_range, scan
from ..dataflow.scan_operands import INPUTS, unfit_state


class DiagonalScan(CustomOp):
    """Inputs in the order of ``INPUTS``: ``u`` (B, T, 1, H), six parameters (H, N), ``d`` (H), ``shift`` (1) or (H, N).
    Output ``y`` (B, T, 1, H)."""

    def get_nodeattr_types(self):
        """``state_bits``: width of a state's real and imaginary part. ``PE``: modes computed in one cycle."""
        return {"state_bits": ("i", True, 8), "PE": ("i", False, 1)}

    def make_shape_compatible_op(self, model):
        """``y`` has the shape of ``u``."""
        return helper.make_node("Relu", [self.onnx_node.input[0]], [self.onnx_node.output[0]])

    def infer_node_datatype(self, model):
        """The narrowest type of the exact range of ``y``; none if ``u`` or a parameter is not known to be integer."""
        ends = integer_range(model.get_tensor_datatype(self.onnx_node.input[0]).name)
        parameters = {name: model.get_initializer(found) for name, found in self._named().items() if name != "u"}
        if ends is None or any(values is None for values in parameters.values()):
            return
        found = integer_type(*output_range(parameters, *ends, self.get_nodeattr("state_bits")))
        model.set_tensor_datatype(self.onnx_node.output[0], DataType[found])

    def execute_node(self, context, graph):
        """Exact: 64-bit integers whatever the container."""
        codes = {name: np.asarray(context[found]) for name, found in self._named().items()}
        u = codes.pop("u")
        found = scan(u[:, :, 0].astype(np.int64), codes, self.get_nodeattr("state_bits"))
        context[self.onnx_node.output[0]] = found[:, :, None].astype(u.dtype)

    def verify_node(self):
        """Messages about what is wrong with the node itself."""
        problems = []
        if len(self.onnx_node.input) != len(INPUTS):
            problems.append(f"has {len(self.onnx_node.input)} inputs, not {len(INPUTS)} ({', '.join(INPUTS)})")
        state = unfit_state(self.get_nodeattr("state_bits"))
        return [*problems, state] if state else problems

    def _named(self) -> dict[str, str]:
        return dict(zip(INPUTS, self.onnx_node.input, strict=True))
