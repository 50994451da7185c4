"""The files of a board's design: the top level, the constraints of its pins, a README."""

from __future__ import annotations

from pathlib import Path

from ..rtl.manifest import Manifest
from ..synthesis.devices import find_device
from .accelerator import STREAMS, instance, parameters, wires
from .catalogue import PINS, Board
from .link import Link

TOP = "ssmq_board"

_TOP = """// {title}: {network} behind a serial line of {baud:,} baud.
module {top} (
    input  wire clk,  // {clock:g} MHz
    input  wire rx,
    output wire tx,
    output wire led
);
  wire rst, lit;
{wires}
  wire unused = &{{1'b0, logit_last}};
  assign led = {led}lit;

  ssmq_power_on power_on (
      .clk(clk),
      .rst(rst)
  );
  ssmq_link #(
{parameters}
  ) link (
      .clk(clk),
      .rst(rst),
      .rx(rx),
      .tx(tx),
      .lit(lit),
{streams}
  );
{accelerator}
endmodule
"""

_README = """# {network} on {title}

`rtl/{top}.sv` is the top level, `{constraints}` its pins: {pins}. {part}, {clock:g} MHz from the board's oscillator,
{baud:,} baud 8N1. Not run on hardware.

The protocol on the serial line is described in the project's `docs/boards.md`; `ssmq host` speaks it.

* `ssmq host . --simulate --images 20` runs the whole design in Verilator, behind a terminal as behind a cable.
* Put the bitstream on the board: `{load}`
* `ssmq host . --port /dev/ttyUSB0 --images 100` sends test data and counts what comes back.
"""


def top_text(manifest: Manifest, board: Board, link: Link, divisor: int, identity: int) -> str:
    return _TOP.format(
        title=board.title, network=manifest.top, top=TOP, clock=board.clock_hz / 1e6, baud=board.clock_hz // divisor,
        wires=wires(link), accelerator=instance(manifest, "clk"), streams=STREAMS, led="~" if board.led_low else "",
        parameters=parameters({"DIVISOR": divisor, **link.parameters()}, identity),
    )  # fmt: skip


def constraints(board: Board) -> tuple[str, str]:
    """Name and text of the file that places the pins, as nextpnr reads it."""
    placed = find_device(board.part)[0].flow.constraints({pin: board.pins[pin] for pin in PINS})
    megahertz = f"{board.clock_hz / 1e6:g}"
    if board.family == "ice40":
        return "pins.pcf", f"{placed}set_frequency clk {megahertz}\n"
    if board.family == "ecp5":
        standards = "".join(f'IOBUF PORT "{pin}" IO_TYPE=LVCMOS33;\n' for pin in PINS)
        return "pins.lpf", f'{placed}{standards}FREQUENCY PORT "clk" {megahertz} MHZ;\n'
    return "pins.cst", placed + "".join(f'IO_PORT "{pin}" IO_TYPE=LVCMOS33;\n' for pin in PINS)


def bitstream_name(board: Board) -> str:
    """As the packer of its family names the kind of file."""
    return f"{TOP}{Path(find_device(board.part)[0].flow.bitstream).suffix}"


def load_command(board: Board, bitstream: Path | str) -> str:
    return f"openFPGALoader -b {board.loader} {bitstream}"


def readme(manifest: Manifest, board: Board, baud: int) -> str:
    return _README.format(
        network=manifest.top, title=board.title, top=TOP, constraints=constraints(board)[0],
        pins=", ".join(f"{pin} {board.pins[pin]}" for pin in PINS), part=f"{board.part} in {board.package}",
        clock=board.clock_hz / 1e6, baud=baud, load=load_command(board, bitstream_name(board)),
    )  # fmt: skip
