"""``DiagonalScan`` as a FINN hardware operator, without a back end. Imported by the worker alone: it needs FINN."""

from __future__ import annotations

from math import prod

import numpy as np
from finn.custom_op.fpgadataflow.hwcustomop import HWCustomOp
from finn.util.exception import FINNUserError
from qonnx.core.datatype import DataType

from ..dataflow.diagonal_scan import scan
from ..dataflow.folding import Folding, scan_lanes
from ..dataflow.hardware import ScanShape, scan_parts
from ..dataflow.scan_operands import INPUTS
from ..estimates.cost import resources_of
from ..estimates.parts import SERIES_7, ULTRASCALE_PLUS
from ..rtl.timing import Scanned


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
        parallel, heads, modes = (self.get_nodeattr(name) for name in ("PE", "heads", "modes"))
        lanes = scan_lanes(parallel, modes)
        if parallel < 1 or prod(lanes) != parallel or heads % lanes[0] or modes % lanes[1]:
            raise FINNUserError(
                f"{self.onnx_node.name}: PE {parallel} neither divides its {modes} modes nor makes whole heads of its {heads}"
            )
        return lanes

    def _cost(self, fpgapart: str):
        heads, modes, bits, widths, choices = map(self.get_nodeattr, ("heads", "modes", "state_bits", "widths", "choices"))
        shape = ScanShape(heads, modes, bits, tuple(widths), tuple(choices))
        # FINN takes every AMD part, and more of them than ours are known by name.
        family = SERIES_7 if fpgapart.startswith(("xc7", "xq7")) else ULTRASCALE_PLUS
        return resources_of(scan_parts(shape), (shape.heads, shape.modes), Folding(self._lanes()), family)

    def get_input_datatype(self, ind=0):
        return DataType[self.get_nodeattr("inputDataType")]

    def get_output_datatype(self, ind=0):
        return DataType[self.get_nodeattr("outputDataType")]

    def infer_node_datatype(self, model):
        self.set_nodeattr("inputDataType", model.get_tensor_datatype(self.onnx_node.input[0]).name)
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
        """Cycles between two sequences, as the library's table has them."""
        heads, modes = self._lanes()
        beats, groups = self.get_nodeattr("heads") // heads, self.get_nodeattr("modes") // modes
        return self.get_nodeattr("steps") * Scanned(0, beats, groups).interval(beats)

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
