// b * u, and half of what is rounded away, four cycles after both came; kinds of b as in ssmq_scan_update.
module ssmq_scan_drive #(
    parameter int KIND = 1,
    parameter int U_BITS = 7,
    parameter int B_BITS = 4,
    parameter int B_BASE = 0,
    parameter int OUT_BITS = 22,
    parameter int SHIFT = 11,
    parameter int STYLE = 0
) (
    input  wire                          clk,
    input  wire signed  [    U_BITS-1:0] u,
    input  wire         [    B_BITS-1:0] b,
    output logic        [  OUT_BITS-1:0] drive
);
  localparam logic [OUT_BITS-1:0] HALF = SHIFT == 0 ? '0 : OUT_BITS'(1) << (SHIFT - 1);

  if (KIND == 0) begin : g_none
    wire unused = &{1'b0, clk, u, b};
    assign drive = HALF;
  end else if (KIND == 1) begin : g_shift
    // By the low bits of k first, then by the high ones.
    localparam int KB = B_BITS - 1;
    localparam int LB = KB < 2 ? KB : 2;
    logic signed [U_BITS-1:0] u_held;
    logic [B_BITS-1:0] b_held;
    logic [OUT_BITS-1:0] fine, coarse;
    logic [KB-1:0] k;
    always_ff @(posedge clk) begin
      {u_held, b_held} <= {u, b};
      fine <= b_held[KB] ? OUT_BITS'(u_held) << (B_BASE + 32'(b_held[LB-1:0])) : '0;
      k <= b_held[KB-1:0] >> LB;
      coarse <= fine << (32'(k) << LB);
      drive <= coarse + HALF;
    end
  end else begin : g_product
    wire signed [U_BITS+B_BITS-1:0] product;
    wire unused_high = &{1'b0, product};
    ssmq_multiply #(
        .A_BITS(U_BITS),
        .B_BITS(B_BITS),
        .STYLE (STYLE)
    ) multiply (
        .en(1'b1),
        .a (u),
        .*
    );
    always_ff @(posedge clk) drive <= OUT_BITS'(product) + HALF;
  end
endmodule
