"""The files of a board's design: the top level, the constraints of its pins, a README."""

from __future__ import annotations

from pathlib import Path

from ..rtl.manifest import Manifest
from .catalogue import PINS, Board
from .link import Link
from .protocol import VERSION

TOP = "ssmq_board"

_TOP = """// {title}: {network} behind a serial line of {baud:,} baud.
module {top} (
    input  wire clk,  // {clock:g} MHz
    input  wire rx,
    output wire tx,
    output wire led
);
  wire rst, lit;
  wire code_valid, code_ready, code_last;
  wire logit_valid, logit_ready, logit_last;
  wire [{code_high}:0] code_data;
  wire [{logit_high}:0] logit_data;
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
      .code_valid(code_valid),
      .code_ready(code_ready),
      .code_data(code_data),
      .code_last(code_last),
      .logit_valid(logit_valid),
      .logit_ready(logit_ready),
      .logit_data(logit_data)
  );
  {network} accelerator (
      .clk(clk),
      .rst(rst),
      .in_valid(code_valid),
      .in_ready(code_ready),
      .in_data(code_data),
      .in_last(code_last),
      .out_valid(logit_valid),
      .out_ready(logit_ready),
      .out_data(logit_data),
      .out_last(logit_last)
  );
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
    settings = {"DIVISOR": divisor, **link.parameters(), "VERSION": f"8'd{VERSION}", "IDENTITY": f"32'h{identity:08x}"}
    return _TOP.format(
        title=board.title, network=manifest.top, top=TOP, clock=board.clock_hz / 1e6, baud=board.clock_hz // divisor,
        code_high=link.code_bits - 1, logit_high=link.logit_bits - 1, led="~" if board.led_low else "",
        parameters=",\n".join(f"      .{key}({value})" for key, value in settings.items()),
    )  # fmt: skip


def constraints(board: Board) -> tuple[str, str]:
    """Name and text of the file that places the pins, as nextpnr reads it."""
    sites = [(pin, board.pins[pin]) for pin in PINS]
    megahertz = f"{board.clock_hz / 1e6:g}"
    if board.family == "ice40":
        return "pins.pcf", "".join([*(f"set_io {pin} {site}\n" for pin, site in sites), f"set_frequency clk {megahertz}\n"])
    if board.family == "ecp5":
        lines = [f'LOCATE COMP "{pin}" SITE "{site}";\nIOBUF PORT "{pin}" IO_TYPE=LVCMOS33;\n' for pin, site in sites]
        return "pins.lpf", "".join([*lines, f'FREQUENCY PORT "clk" {megahertz} MHZ;\n'])
    return "pins.cst", "".join(f'IO_LOC "{pin}" {site};\nIO_PORT "{pin}" IO_TYPE=LVCMOS33;\n' for pin, site in sites)


def load_command(board: Board, bitstream: Path | str) -> str:
    return f"openFPGALoader -b {board.loader} {bitstream}"


BITSTREAMS = {"ice40": "ssmq_board.bin", "ecp5": "ssmq_board.bit", "gowin": "ssmq_board.fs"}


def readme(manifest: Manifest, board: Board, baud: int) -> str:
    return _README.format(
        network=manifest.top, title=board.title, top=TOP, constraints=constraints(board)[0],
        pins=", ".join(f"{pin} {board.pins[pin]}" for pin in PINS), part=f"{board.part} in {board.package}",
        clock=board.clock_hz / 1e6, baud=baud, load=load_command(board, BITSTREAMS[board.family]),
    )  # fmt: skip
