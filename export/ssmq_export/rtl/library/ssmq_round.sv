// The saturating rounder: ``out`` = clip(value / 2**SHIFT to the nearest integer, ties to even, LOW .. HIGH), where
// ``biased`` = value + 2**(SHIFT - 1) comes from an adder that is there anyway (value itself if SHIFT is 0).
// Half up is then a plain shift; a tie shows as zeros below, and only there the result is made even.
// Latency 2.
module ssmq_round #(
    parameter int IN_BITS  = 16,
    parameter int SHIFT    = 4,
    parameter int OUT_BITS = 8,
    parameter int LOW      = -128,
    parameter int HIGH     = 127
) (
    input  wire                 clk,
    input  wire                 en,
    input  wire  [ IN_BITS-1:0] biased,
    output logic [OUT_BITS-1:0] out
);
  // One bit more than is left, so that LOW and HIGH fit into the comparisons.
  localparam int LEFT = IN_BITS - SHIFT;
  localparam int RB = (LEFT > OUT_BITS ? LEFT : OUT_BITS) + 1;
  localparam logic signed [RB-1:0] LEAST = RB'(LOW);
  localparam logic signed [RB-1:0] MOST = RB'(HIGH);
  wire signed [LEFT-1:0] up = biased[IN_BITS-1:SHIFT];
  logic signed [RB-1:0] rounded;

  if (SHIFT == 0) begin : g_exact
    always_ff @(posedge clk) if (en) rounded <= RB'(up);
  end else begin : g_even
    wire tie = ~|biased[SHIFT-1:0];
    wire signed [LEFT-1:0] even = {up[LEFT-1:1], up[0] & ~tie};
    always_ff @(posedge clk) if (en) rounded <= RB'(even);
  end

  always_ff @(posedge clk)
    if (en) begin
      if (rounded < LEAST) out <= LEAST[OUT_BITS-1:0];
      else if (rounded > MOST) out <= MOST[OUT_BITS-1:0];
      else out <= rounded[OUT_BITS-1:0];
    end
endmodule
