"""``DiagonalScan`` as a FINN hardware operator, and what turns a sequence dataflow graph into hardware operators.

FINN finds operators in its own modules' dictionaries; ``register`` adds ours there, in this process only. Imported by the
worker alone: it needs FINN.
"""

from __future__ import annotations

from math import prod

import finn.custom_op.fpgadataflow as abstract
import finn.custom_op.fpgadataflow.rtl as rtl
import numpy as np
from finn.custom_op.fpgadataflow.hwcustomop import HWCustomOp
from finn.custom_op.fpgadataflow.rtlbackend import RTLBackend
from finn.util.exception import FINNUserError
from onnx import helper
from qonnx.core.datatype import DataType
from qonnx.transformation.base import Transformation

from ..dataflow.attributes import attribute
from ..dataflow.diagonal_scan import scan
from ..dataflow.folding import Folding, scan_lanes
from ..dataflow.graph import DataflowGraph
from ..dataflow.hardware import ScanShape, loop_latency, scan_parts
from ..dataflow.keys import SCAN_DOMAIN
from ..dataflow.scan_operands import INPUTS
from ..estimates.cost import resources_of
from ..estimates.parts import SERIES_7, ULTRASCALE_PLUS

HARDWARE = "finn.custom_op.fpgadataflow"
NOT_YET = (
    "DiagonalScan has no RTL yet: hardware is made of the step graph (dataflow.onnx), whose operators FINN has all; the "
    "sequence graph is for estimates and for execution in Python"
)


class DiagonalScan(HWCustomOp):
    """The recurrence of one layer; the attributes are those of ``dataflow.hardware.ScanShape``, the number of steps, the
    streams' types and ``PE``, the modes computed in one cycle: a divisor of the modes, or all of them for some heads."""

    def get_nodeattr_types(self):
        return {
            **super().get_nodeattr_types(),
            "heads": ("i", True, 0),
            "modes": ("i", True, 0),
            "steps": ("i", True, 0),
            "state_bits": ("i", True, 8),
            # of u, A, B, C, D, y and of a shift
            "widths": ("ints", True, []),
            "choices": ("ints", True, []),
            "PE": ("i", False, 1),
            "inputDataType": ("s", True, ""),
            "outputDataType": ("s", True, ""),
        }

    def _lanes(self) -> tuple[int, int]:
        """Heads and modes computed in one cycle."""
        return scan_lanes(self.get_nodeattr("PE"), self.get_nodeattr("modes"))

    def _cost(self, fpgapart: str):
        values = {name: self.get_nodeattr(name) for name in ("heads", "modes", "state_bits", "widths", "choices")}
        shape = ScanShape(**{name: tuple(v) if name in ("widths", "choices") else v for name, v in values.items()})
        # FINN takes every AMD part, and more of them than ours are known by name.
        family = SERIES_7 if fpgapart.startswith(("xc7", "xq7")) else ULTRASCALE_PLUS
        return resources_of(scan_parts(shape), (shape.heads, shape.modes), Folding(self._lanes()), family)

    def get_input_datatype(self, ind=0):
        return DataType[self.get_nodeattr("inputDataType")]

    def get_output_datatype(self, ind=0):
        return DataType[self.get_nodeattr("outputDataType")]

    def infer_node_datatype(self, model):
        model.set_tensor_datatype(self.onnx_node.output[0], self.get_output_datatype())

    def get_normal_input_shape(self, ind=0):
        heads, modes = self.get_nodeattr("heads"), self.get_nodeattr("modes")
        if ind == 0:
            return (1, self.get_nodeattr("steps"), 1, heads)
        return (heads,) if INPUTS[ind] == "d" else (heads, modes)

    def get_normal_output_shape(self, ind=0):
        return self.get_normal_input_shape()

    def get_folded_input_shape(self, ind=0):
        if ind:
            return self.get_normal_input_shape(ind)
        heads, lanes = self.get_nodeattr("heads"), self._lanes()[0]
        return (1, self.get_nodeattr("steps"), 1, heads // lanes, lanes)

    def get_folded_output_shape(self, ind=0):
        return self.get_folded_input_shape()

    def get_instream_width(self, ind=0):
        # Parameters are constants of the module, not streams.
        return self._lanes()[0] * self.get_input_datatype().bitwidth() if ind == 0 else 0

    def get_outstream_width(self, ind=0):
        return self._lanes()[0] * self.get_output_datatype().bitwidth()

    def get_exp_cycles(self):
        heads, modes = self.get_nodeattr("heads"), self.get_nodeattr("modes")
        loop = loop_latency(self.get_nodeattr("choices")[-1])
        return self.get_nodeattr("steps") * max(loop, heads * modes // prod(self._lanes()))

    def lut_estimation(self, fpgapart):
        return self._cost(fpgapart).lut

    def bram_estimation(self, fpgapart):
        return self._cost(fpgapart).bram

    def dsp_estimation(self, fpgapart):
        return self._cost(fpgapart).dsp

    def execute_node(self, context, graph):
        codes = {name: context[found] for name, found in zip(INPUTS, self.onnx_node.input, strict=True)}
        u = codes.pop("u")
        found = scan(u[:, :, 0].astype(np.int64), codes, self.get_nodeattr("state_bits"))
        context[self.onnx_node.output[0]] = found[:, :, None].astype(u.dtype)

    def fold(self, target_cycles: int) -> None:
        """The fewest modes a cycle that reach ``target_cycles`` for the sequence, or all of them."""
        heads, modes = self.get_nodeattr("heads"), self.get_nodeattr("modes")
        choices = [n for n in range(1, modes + 1) if modes % n == 0]
        choices += [modes * n for n in range(2, heads + 1) if heads % n == 0]
        for parallel in choices:
            self.set_nodeattr("PE", parallel)
            if self.get_exp_cycles() <= target_cycles:
                return


class DiagonalScan_rtl(DiagonalScan, RTLBackend):  # noqa: N801  (FINN's naming)
    """The RTL back end. Every step that needs code says in one message that there is none yet."""

    def get_nodeattr_types(self):
        return {**DiagonalScan.get_nodeattr_types(self), **RTLBackend.get_nodeattr_types(self)}

    def generate_hdl(self, model, fpgapart, clk):
        raise FINNUserError(NOT_YET)

    def get_rtl_file_list(self, abspath=False):
        raise FINNUserError(NOT_YET)

    def code_generation_ipi(self):
        raise FINNUserError(NOT_YET)


class InferSequence(Transformation):
    """Our DiagonalScan becomes the hardware operator, the sum over time FINN's GlobalAccPool."""

    def apply(self, model):
        scans = any(node.domain == SCAN_DOMAIN for node in model.graph.node)
        shapes = {o.output: o.shape for o in DataflowGraph(model.model).operations if o.kind == "scan"} if scans else {}
        for position, node in enumerate(list(model.graph.node)):
            if node.domain == SCAN_DOMAIN:
                new = _hardware_scan(model, shapes[node.output[0]], node)
            elif node.op_type == "ReduceSum":
                new = _hardware_sum(model, node)
            else:
                continue
            model.graph.node.remove(node)
            model.graph.node.insert(position, new)
        return model, False


def _hardware_scan(model, shape: ScanShape, node):
    return helper.make_node(
        "DiagonalScan", list(node.input), list(node.output), name=node.name, domain=HARDWARE, backend="fpgadataflow",
        heads=shape.heads, modes=shape.modes, steps=model.get_tensor_shape(node.input[0])[1],
        state_bits=shape.state_bits, widths=shape.widths, choices=shape.choices, PE=attribute(node, "PE", 1),
        inputDataType=model.get_tensor_datatype(node.input[0]).name,
        outputDataType=model.get_tensor_datatype(node.output[0]).name,
    )  # fmt: skip


def _hardware_sum(model, node):
    *vectors, channels = model.get_tensor_shape(node.input[0])
    return helper.make_node(
        "GlobalAccPool", node.input[:1], list(node.output), name=node.name, domain=HARDWARE, backend="fpgadataflow",
        NumChannels=channels, PE=1, numInputVectors=vectors,
        inputDataType=model.get_tensor_datatype(node.input[0]).name,
    )  # fmt: skip


def register() -> None:
    """Make FINN know the operator in this process."""
    abstract.custom_op["DiagonalScan"] = DiagonalScan
    rtl.custom_op["DiagonalScan_rtl"] = DiagonalScan_rtl
