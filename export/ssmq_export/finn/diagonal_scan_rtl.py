"""``DiagonalScan`` of FINN in RTL: the library's scan behind FINN's interfaces. Imported by the worker alone: it needs FINN."""

from __future__ import annotations

import re
from pathlib import Path

import finn.custom_op.fpgadataflow as abstract
import finn.custom_op.fpgadataflow.rtl as rtl
import numpy as np
from finn.custom_op.fpgadataflow.rtlbackend import RTLBackend
from finn.util.exception import FINNUserError
from onnx import NodeProto

from ..dataflow.scan_operands import INPUTS, unfit_shapes, unfit_shift, unfit_state
from ..errors import ExportError
from ..rtl import library
from ..rtl.manifest import NAME
from ..rtl.netlist import Cell, Stream
from .diagonal_scan import DiagonalScan
from .scan_module import sources, write_scan


class DiagonalScan_rtl(DiagonalScan, RTLBackend):  # noqa: N801  (FINN's naming)
    """The RTL back end. The numbers of the recurrence are memories of the module, ``u`` alone is a stream."""

    def get_nodeattr_types(self):
        return {**DiagonalScan.get_nodeattr_types(self), **RTLBackend.get_nodeattr_types(self)}

    def generate_hdl(self, model, fpgapart, clk):
        """The module, named after the node, and its memories into ``code_gen_dir_ipgen``."""
        top, folder = self.get_verilog_top_module_name(), self.get_nodeattr("code_gen_dir_ipgen")
        if not re.fullmatch(NAME, top):
            raise FINNUserError(f"node {top!r}: no name for a module: run GiveUniqueNodeNames first")
        try:
            write_scan(Path(folder), top, self._cell(model), self.get_nodeattr("steps"))
        except ExportError as error:
            raise FINNUserError(f"{top}: {error}") from error
        for name, value in (("gen_top_module", top), ("ipgen_path", folder), ("ip_path", folder)):
            self.set_nodeattr(name, value)

    def _cell(self, model) -> Cell:
        parameters = {name: model.get_initializer(found) for name, found in zip(INPUTS, self.onnx_node.input, strict=True)}
        del parameters["u"]
        missing = [name for name, values in parameters.items() if values is None]
        if missing:
            raise ExportError(f"{', '.join(missing)}: not constant, so no memory of the module")
        heads, state_bits = self.get_nodeattr("heads"), self.get_nodeattr("state_bits")
        wrong = unfit_shapes(heads, {name: values.shape for name, values in parameters.items()})
        wrong = wrong or unfit_state(state_bits) or unfit_shift(parameters["shift"])
        if wrong:
            raise ExportError(wrong)
        lanes, modes = self._lanes()
        streams = []
        for name, datatype in (("u", self.get_input_datatype()), ("y", self.get_output_datatype())):
            if not datatype.is_integer() or not datatype.allowed(0):
                raise ExportError(f"{name} is {datatype.name}: no two's complement and no unsigned integers")
            streams.append(Stream(name, heads, lanes, datatype.bitwidth(), datatype.signed()))
        u, y = streams
        return library.scan(u, y, modes, {n: v.astype(np.int64) for n, v in parameters.items()}, state_bits)

    def get_rtl_file_list(self, abspath=False):
        """The library's modules, which lie where they are installed, and the module of the node."""
        top = Path(self.get_nodeattr("code_gen_dir_ipgen")) / f"{self.get_nodeattr('gen_top_module')}.v"
        return [str(path) if abspath else path.name for path in (*sources(), top)]

    def code_generation_ipi(self):
        files = self.get_rtl_file_list(abspath=True)
        spaced = next((path for path in files if len(path.split()) != 1), None)
        if spaced is not None:
            raise FINNUserError(f"{spaced}: FINN takes no path with spaces: install and build in folders without")
        cell = f"create_bd_cell -type module -reference {self.get_nodeattr('gen_top_module')} {self.onnx_node.name}"
        return [*(f"add_files -norecurse {path}" for path in files), cell]

    def execute_node(self, context, graph):
        """In Python, or with FINN's simulation of the module, which drives a stream an input: that is ``u``."""
        if self.get_nodeattr("exec_mode") != "rtlsim":
            DiagonalScan.execute_node(self, context, graph)
            return
        streamed = NodeProto()
        streamed.CopyFrom(self.onnx_node)
        del streamed.input[1:]
        simulated = type(self)(streamed)
        RTLBackend.execute_node(simulated, context, graph)
        self.set_nodeattr("cycles_rtlsim", simulated.get_nodeattr("cycles_rtlsim"))


def register() -> None:
    """Make FINN know the operator in this process."""
    abstract.custom_op["DiagonalScan"] = DiagonalScan
    rtl.custom_op["DiagonalScan_rtl"] = DiagonalScan_rtl
