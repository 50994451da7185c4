// value / 2**SHIFT to the nearest integer, of two equally near ones the even one, clipped: by division.
module formal_nearest #(
    parameter int SHIFT = 3,
    parameter int LOW   = -8,
    parameter int HIGH  = 7
) (
    input  wire signed [31:0] value,
    output wire signed [31:0] clipped
);
  localparam int UNIT = 1 << SHIFT;
  // Toward minus infinity, what is left over, and whether that is more than half of a unit.
  wire signed [31:0] floor = (value - (value & (UNIT - 1))) / UNIT;
  wire signed [31:0] rest = value - floor * UNIT;
  wire up = 2 * rest > UNIT || (2 * rest == UNIT && floor[0]);
  wire signed [31:0] nearest = floor + (up ? 1 : 0);
  assign clipped = nearest < LOW ? LOW : nearest > HIGH ? HIGH : nearest;
endmodule
