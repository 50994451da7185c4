"""Generated RTL behind AXI, for Zynq: a stream of codes in, a stream of classes out, registers, a driver for PYNQ.

Neither run on hardware nor through Vivado.
"""

from __future__ import annotations

from ..rtl.manifest import Manifest
from .accelerator import STREAMS, instance, parameters, wires
from .link import Link

TOP = "ssmq_axi_top"

# Names that Vivado takes for interfaces; widths by their formula.
_PORTS = """s_axis_tvalid input 1; s_axis_tready output 1; s_axis_tdata input {tdata}; s_axis_tlast input 1;
m_axis_tvalid output 1; m_axis_tready input 1; m_axis_tdata output 64; m_axis_tlast output 1;
s_axi_awvalid input 1; s_axi_awready output 1; s_axi_awaddr input 5; s_axi_wvalid input 1; s_axi_wready output 1;
s_axi_wdata input 32; s_axi_wstrb input 4; s_axi_bvalid output 1; s_axi_bready input 1; s_axi_bresp output 2;
s_axi_arvalid input 1; s_axi_arready output 1; s_axi_araddr input 5; s_axi_rvalid output 1; s_axi_rready input 1;
s_axi_rdata output 32; s_axi_rresp output 2"""

_TOP = """// {network} behind AXI.
module {top} (
{ports}
    input  wire aclk,
    input  wire aresetn
);
  wire rst;
{wires}
  wire unused = &{{1'b0, logit_last, s_axi_wstrb}};

  ssmq_axi #(
{parameters}
  ) axi (
{pins}
      .aclk(aclk),
      .aresetn(aresetn),
      .rst(rst),
{streams}
  );
{accelerator}
endmodule
"""

PACKAGE = f"""# Packages the design as IP for Vivado's block designs: vivado -mode batch -source package.tcl -tclargs PART
set here [file dirname [file normalize [info script]]]
create_project -in_memory -part [lindex $argv 0]
add_files [glob $here/rtl/*.sv]
add_files [glob -nocomplain $here/rtl/*.mem]
set_property file_type {{Memory File}} [get_files *.mem]
set_property top {TOP} [current_fileset]
update_compile_order -fileset sources_1
ipx::package_project -root_dir $here/ip -vendor user -library ssmq -taxonomy /UserIP -import_files
set_property name {TOP} [ipx::current_core]
ipx::save_core [ipx::current_core]
"""

_DRIVER = '''"""A PYNQ driver, a sketch that has not been run. The block design has this IP and an AXI DMA on its streams."""

import numpy as np
import pynq

IDENTITY, STEPS, CHANNELS, DTYPE = 0x{identity:08X}, {steps}, {channels}, np.{dtype}
REGISTERS = {{"identity": 0, "version": 4, "control": 8, "faults": 12, "sequences": 16, "cycles": 20}}


class Accelerator:
    def __init__(self, bitstream: str, ip: str = "{top}_0", dma: str = "axi_dma_0"):
        overlay = pynq.Overlay(bitstream)
        self.registers, self.dma = getattr(overlay, ip), getattr(overlay, dma)
        if self.read("identity") != IDENTITY:
            raise RuntimeError("the bitstream holds another design")
        self.reset()

    def read(self, name: str) -> int:
        return self.registers.read(REGISTERS[name])

    def reset(self) -> None:
        """Forget what is on the way, and the fault of a TLAST that was not with the last code."""
        self.registers.write(REGISTERS["control"], 1)
        self.registers.write(REGISTERS["faults"], 0)
        self.registers.write(REGISTERS["control"], 0)

    def classify(self, codes: np.ndarray) -> tuple[int, int]:
        """The class of codes ``(T, C)`` and its margin."""
        given = pynq.allocate((STEPS * CHANNELS,), DTYPE)
        found = pynq.allocate((2,), np.uint32)
        given[:] = np.asarray(codes).reshape(-1)
        self.dma.recvchannel.transfer(found)
        self.dma.sendchannel.transfer(given)
        self.dma.sendchannel.wait()
        self.dma.recvchannel.wait()
        if self.read("faults"):
            raise RuntimeError("a sequence had another length than the design's")
        return int(found[0]), int(found[1])
'''


def axi_top(manifest: Manifest, link: Link, identity: int) -> str:
    shape = {key: value for key, value in link.parameters().items() if key not in ("BYTES", "DEPTH")}
    ports = [port.split() for port in _PORTS.format(tdata=8 * -(-link.code_bits // 8)).split(";")]
    return _TOP.format(
        network=manifest.top, top=TOP, wires=wires(link), accelerator=instance(manifest, "aclk"), streams=STREAMS,
        ports="\n".join(f"    {way:<6} wire {f'[{int(bits) - 1}:0] ' * (bits != '1')}{name}," for name, way, bits in ports),
        pins="\n".join(f"      .{name}({name})," for name, _, _ in ports if name != "s_axi_wstrb"),
        parameters=parameters(shape, identity),
    )  # fmt: skip


def driver(link: Link, signed: bool, identity: int) -> str:
    dtype = f"{'' if signed else 'u'}int{8 * -(-link.code_bits // 8)}"
    return _DRIVER.format(identity=identity, steps=link.steps, channels=link.channels, dtype=dtype, top=TOP)
