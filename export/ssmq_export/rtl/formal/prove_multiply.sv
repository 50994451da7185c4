module prove_multiply #(
    parameter int A_BITS = 3,
    parameter int B_BITS = 3,
    parameter int STYLE  = 0
) (
    input wire              clk,
    input wire              en,
    input wire [A_BITS-1:0] a,
    input wire [B_BITS-1:0] b
);
  wire [A_BITS+B_BITS-1:0] product;
  wire signed [15:0] x, y;
  wire signed [15:0] exact = x * y;
  ssmq_multiply #(.A_BITS(A_BITS), .B_BITS(B_BITS), .STYLE(STYLE)) dut (.*);

  formal_integer #(.BITS(A_BITS)) of_a (.code(a), .value(x));
  formal_integer #(.BITS(B_BITS)) of_b (.code(b), .value(y));
  formal_fits #(.BITS(A_BITS + B_BITS)) fits (.valid(1'b1), .value(exact));
  formal_later #(.BITS(A_BITS + B_BITS), .CYCLES(3)) later (
      .expected(exact[A_BITS+B_BITS-1:0]), .found(product), .*);
endmodule
