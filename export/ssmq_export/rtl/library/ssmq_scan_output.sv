// One head of a scan's output: the sum over its modes of Re(c x), MODES of them a cycle, plus d u.
// States and c come in cycle 0, ``first`` and d u in cycle 4 + HELD + $clog2(MODES); y is there a cycle later.
// HELD: cycles that products are held.
module ssmq_scan_output #(
    parameter int MODES = 1,
    parameter int STATE_BITS = 8,
    parameter int C_BITS = 4,
    parameter int D_BITS = 12,
    parameter int OUT_BITS = 16,
    parameter int HELD = 0,
    parameter int STYLE = 0
) (
    input  wire                              clk,
    input  wire  [2*MODES*STATE_BITS-1:0]    states,
    input  wire  [    2*MODES*C_BITS-1:0]    weights,
    input  wire                              valid,
    input  wire                              first,
    input  wire signed  [     D_BITS-1:0]    direct,
    output logic        [   OUT_BITS-1:0]    y
);
  localparam int PB = STATE_BITS + C_BITS;
  wire [MODES*(PB+1)-1:0] terms;
  wire [OUT_BITS-1:0] sum;
  wire unused_high = &{1'b0, direct};

  for (genvar mode = 0; mode < MODES; mode++) begin : g_mode
    wire [2*PB-1:0] both, held;
    wire signed [PB-1:0] re = held[PB-1:0];
    wire signed [PB-1:0] im = held[2*PB-1:PB];
    logic [PB:0] difference;
    ssmq_multiply #(
        .A_BITS(STATE_BITS),
        .B_BITS(C_BITS),
        .STYLE (STYLE)
    ) real_part (
        .en(1'b1),
        .a(states[2*mode*STATE_BITS+:STATE_BITS]),
        .b(weights[2*mode*C_BITS+:C_BITS]),
        .product(both[PB-1:0]),
        .*
    );
    ssmq_multiply #(
        .A_BITS(STATE_BITS),
        .B_BITS(C_BITS),
        .STYLE (STYLE)
    ) imaginary_part (
        .en(1'b1),
        .a(states[(2*mode+1)*STATE_BITS+:STATE_BITS]),
        .b(weights[(2*mode+1)*C_BITS+:C_BITS]),
        .product(both[2*PB-1:PB]),
        .*
    );
    ssmq_delay #(.BITS(2 * PB), .CYCLES(HELD)) to_difference (.en(1'b1), .in(both), .out(held), .*);
    always_ff @(posedge clk) difference <= (PB + 1)'(re) - (PB + 1)'(im);
    assign terms[mode*(PB+1)+:PB+1] = difference;
  end
  ssmq_tree #(
      .COUNT(MODES),
      .IN_BITS(PB + 1),
      .OUT_BITS(OUT_BITS)
  ) tree (
      .en(1'b1),
      .*
  );
  always_ff @(posedge clk) if (valid) y <= (first ? OUT_BITS'(direct) : y) + sum;
endmodule
