"""A design among shift registers, so that its streams need three pins, however wide they are.

Every input is a bit of one shift register, every output is folded into another: each costs the design nothing but a
register next to the port. The design itself is mapped before and stays as it is, so what the harness takes is known to
the last LUT.
"""

from __future__ import annotations

from ..rtl.netlist import Stream

# A name that no design has: `ssmq rtl` refuses names that begin like the library's.
HARNESS, INSTANCE = "ssmq_harness", "design"
CLOCK, GIVEN, SEEN = PINS = ("clk", "shift_in", "shift_out")
TEXT = """module {harness} (
    input  wire {clock},
    input  wire {given},
    output wire {seen}
);
  reg  [{last_in}:0] inputs;
  wire [{last_out}:0] outputs;
  reg  [{last_out}:0] folded;
  assign {seen} = folded[{last_out}];
  always @(posedge {clock}) begin
    inputs <= {{inputs[{last_in}-1:0], {given}}};
    folded <= {{folded[{last_out}-1:0], 1'b0}} ^ outputs;
  end
  {top} {instance} (
      .clk({clock}),
{connections}
  );
endmodule
"""


def harness(top: str, given: Stream, result: Stream) -> str:
    """The harness of ``top``, whose streams are called ``in`` and ``out``, as Verilog."""
    inputs = {"rst": 1, "in_valid": 1, "in_last": 1, "in_data": given.width, "out_ready": 1}
    outputs = {"in_ready": 1, "out_valid": 1, "out_last": 1, "out_data": result.width}
    pins, ends = [], []
    for bus, ports in (("inputs", inputs), ("outputs", outputs)):
        place = 0
        for port, width in ports.items():
            pins.append(f"      .{port}({bus}[{place}+:{width}])")
            place += width
        ends.append(place - 1)
    return TEXT.format(
        harness=HARNESS, clock=CLOCK, given=GIVEN, seen=SEEN, last_in=ends[0], last_out=ends[1], top=top,
        instance=INSTANCE, connections=",\n".join(pins),
    )  # fmt: skip
