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
  // One bit more than is left and than leaves, so that LOW and HIGH fit into the comparisons.
  localparam int LEFT = IN_BITS - SHIFT;
  localparam int RB = (LEFT > OUT_BITS ? LEFT : OUT_BITS) + 1;
  localparam bit ALL_SIGNED = OUT_BITS > 1 && LOW == -(1 << (OUT_BITS - 1)) && HIGH == (1 << (OUT_BITS - 1)) - 1;
  localparam bit ALL_UNSIGNED = LOW == 0 && HIGH == (1 << OUT_BITS) - 1;
  wire signed [LEFT-1:0] up = biased[IN_BITS-1:SHIFT];
  wire signed [RB-1:0] rounded;

  if (SHIFT == 0) begin : g_exact
    assign rounded = RB'(up);
  end else begin : g_even
    wire tie = ~|biased[SHIFT-1:0];
    wire signed [LEFT-1:0] even = {up[LEFT-1:1], up[0] & ~tie};
    assign rounded = RB'(even);
  end

  if (ALL_SIGNED || ALL_UNSIGNED) begin : g_whole
    // All codes of OUT_BITS bits: whether a value is one shows in the bits above.
    localparam int KEPT = ALL_SIGNED ? OUT_BITS - 1 : OUT_BITS;
    wire [RB-KEPT-1:0] above = rounded[RB-1:KEPT];
    logic fits, negative;
    logic [OUT_BITS-1:0] low;
    wire [OUT_BITS-1:0] least = OUT_BITS'(ALL_SIGNED) << (OUT_BITS - 1);
    always_ff @(posedge clk)
      if (en) begin
        fits <= ~|above | (ALL_SIGNED & (&above));
        negative <= rounded[RB-1];
        low <= rounded[OUT_BITS-1:0];
        out <= fits ? low : negative ? least : ~least;
      end
  end else begin : g_some
    localparam logic signed [RB-1:0] LEAST = RB'(LOW);
    localparam logic signed [RB-1:0] MOST = RB'(HIGH);
    logic signed [RB-1:0] held;
    always_ff @(posedge clk)
      if (en) begin
        held <= rounded;
        if (held < LEAST) out <= LEAST[OUT_BITS-1:0];
        else if (held > MOST) out <= MOST[OUT_BITS-1:0];
        else out <= held[OUT_BITS-1:0];
      end
  end
endmodule
