// What a part of B stands for, by its kind: 0, a power of two or none, or itself.
module formal_drive #(
    parameter int BITS = 2,
    parameter int BASE = 0,
    parameter int KIND = 1
) (
    input  wire        [BITS-1:0] code,
    output wire signed [    31:0] value
);
  wire [31:0] power = code[BITS-1] ? 32'd1 << (BASE + code[BITS-2:0]) : 0;
  assign value = KIND == 0 ? 0 : KIND == 1 ? power : {{(32 - BITS) {code[BITS-1]}}, code};
endmodule
