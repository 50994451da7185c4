// The integer that a code stands for.
module formal_integer #(
    parameter int BITS = 2,
    parameter int SIGNED = 1,
    parameter int WIDE = 16
) (
    input  wire        [BITS-1:0] code,
    output wire signed [WIDE-1:0] value
);
  assign value = {{(WIDE - BITS) {SIGNED != 0 && code[BITS-1]}}, code};
endmodule
