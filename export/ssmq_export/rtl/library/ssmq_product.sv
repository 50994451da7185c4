// Two streams multiplied element by element (a gate). Latency 3, interval 1.
module ssmq_product #(
    parameter int LANES = 1,
    parameter int A_BITS = 8,
    parameter int A_SIGNED = 1,
    parameter int B_BITS = 8,
    parameter int B_SIGNED = 1,
    parameter int OUT_BITS = 16,
    parameter int STYLE = 0
) (
    input  wire                      clk,
    input  wire                      rst,
    input  wire                      a_valid,
    output wire                      a_ready,
    input  wire [  LANES*A_BITS-1:0] a_data,
    input  wire                      a_last,
    input  wire                      b_valid,
    output wire                      b_ready,
    input  wire [  LANES*B_BITS-1:0] b_data,
    input  wire                      b_last,
    output wire                      out_valid,
    input  wire                      out_ready,
    output wire [LANES*OUT_BITS-1:0] out_data,
    output wire                      out_last
);
  wire en = ~out_valid | out_ready;
  wire both = a_valid & b_valid;
  assign {a_ready, b_ready} = {en & b_valid, en & a_valid};

  ssmq_flags #(
      .BITS  (2),
      .CYCLES(3)
  ) flags (
      .in ({a_last & b_last, both}),
      .out({out_last, out_valid}),
      .*
  );
  for (genvar lane = 0; lane < LANES; lane++) begin : g_lane
    wire [A_BITS-1:0] a = a_data[lane*A_BITS+:A_BITS];
    wire [B_BITS-1:0] b = b_data[lane*B_BITS+:B_BITS];
    wire [A_BITS+B_BITS+1:0] product;
    wire unused = &{1'b0, product};
    ssmq_times #(
        .A_BITS(A_BITS + 1),
        .B_BITS(B_BITS + 1),
        .STYLE (STYLE)
    ) multiply (
        .a({A_SIGNED != 0 && a[A_BITS-1], a}),
        .b({B_SIGNED != 0 && b[B_BITS-1], b}),
        .*
    );
    assign out_data[lane*OUT_BITS+:OUT_BITS] = product[OUT_BITS-1:0];
  end
endmodule
