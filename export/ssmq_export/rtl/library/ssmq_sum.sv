// Two streams added, or subtracted with SUBTRACT = 1, element by element, each shifted left to the same grid first.
// Latency 1, interval 1.
module ssmq_sum #(
    parameter int LANES = 1,
    parameter int A_BITS = 8,
    parameter int A_SIGNED = 1,
    parameter int A_SHIFT = 0,
    parameter int B_BITS = 8,
    parameter int B_SIGNED = 1,
    parameter int B_SHIFT = 0,
    parameter int SUBTRACT = 0,
    parameter int OUT_BITS = 9
) (
    input  wire                       clk,
    input  wire                       rst,
    input  wire                       a_valid,
    output wire                       a_ready,
    input  wire  [  LANES*A_BITS-1:0] a_data,
    input  wire                       a_last,
    input  wire                       b_valid,
    output wire                       b_ready,
    input  wire  [  LANES*B_BITS-1:0] b_data,
    input  wire                       b_last,
    output wire                       out_valid,
    input  wire                       out_ready,
    output logic [LANES*OUT_BITS-1:0] out_data,
    output wire                       out_last
);
  wire en = ~out_valid | out_ready;
  wire both = a_valid & b_valid;
  assign {a_ready, b_ready} = {en & b_valid, en & a_valid};

  ssmq_flags #(
      .BITS  (2),
      .CYCLES(1)
  ) flags (
      .in ({a_last & b_last, both}),
      .out({out_last, out_valid}),
      .*
  );
  for (genvar lane = 0; lane < LANES; lane++) begin : g_lane
    wire [A_BITS-1:0] a = a_data[lane*A_BITS+:A_BITS];
    wire [B_BITS-1:0] b = b_data[lane*B_BITS+:B_BITS];
    wire signed [A_BITS+A_SHIFT:0] left = {A_SIGNED != 0 && a[A_BITS-1], a, {A_SHIFT{1'b0}}};
    wire signed [B_BITS+B_SHIFT:0] right = {B_SIGNED != 0 && b[B_BITS-1], b, {B_SHIFT{1'b0}}};
    wire unused_high = &{1'b0, left, right};
    always_ff @(posedge clk)
      if (en)
        out_data[lane*OUT_BITS+:OUT_BITS] <= SUBTRACT != 0 ? OUT_BITS'(left) - OUT_BITS'(right) : OUT_BITS'(left) + OUT_BITS'(right);
  end
endmodule
