// An exact value lies in the range of the code that holds it.
module formal_fits #(
    parameter int BITS = 4,
    parameter int SIGNED = 1,
    parameter int WIDE = 16
) (
    input wire                   valid,
    input wire signed [WIDE-1:0] value
);
  wire [WIDE-BITS-1:0] above = value[WIDE-1:BITS];
  wire sign = SIGNED != 0 && value[BITS-1];
  always_comb if (valid) assert_fits : assert (above == {(WIDE - BITS) {sign}});
endmodule
