// The rounder for every value that its adder can give.
module prove_round #(
    parameter int IN_BITS  = 8,
    parameter int SHIFT    = 3,
    parameter int OUT_BITS = 4,
    parameter int LOW      = -8,
    parameter int HIGH     = 7
) (
    input wire                      clk,
    input wire                      en,
    input wire signed [IN_BITS-1:0] value
);
  wire [OUT_BITS-1:0] out;
  wire signed [31:0] wide = value;
  wire signed [31:0] biased = wide + (1 << SHIFT) / 2;
  wire signed [31:0] clipped;
  // The adder before the rounder does not overflow.
  always_comb assume (biased < (1 << (IN_BITS - 1)));

  ssmq_round #(.IN_BITS(IN_BITS), .SHIFT(SHIFT), .OUT_BITS(OUT_BITS), .LOW(LOW), .HIGH(HIGH)) dut (
      .biased(biased[IN_BITS-1:0]), .*);
  formal_nearest #(.SHIFT(SHIFT), .LOW(LOW), .HIGH(HIGH)) nearest (.value(wide), .*);
  formal_fits #(.BITS(OUT_BITS), .SIGNED(LOW < 0), .WIDE(32)) fits (.valid(1'b1), .value(clipped));
  formal_later #(.BITS(OUT_BITS), .CYCLES(2)) later (.expected(clipped[OUT_BITS-1:0]), .found(out), .*);
endmodule
