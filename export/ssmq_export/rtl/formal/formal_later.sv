// A result of CYCLES enabled cycles is what was expected of what went in.
module formal_later #(
    parameter int BITS   = 4,
    parameter int CYCLES = 2
) (
    input wire            clk,
    input wire            en,
    input wire [BITS-1:0] expected,
    input wire [BITS-1:0] found
);
  logic [CYCLES*BITS-1:0] line;
  logic [     CYCLES-1:0] there;
  initial there = '0;

  always_ff @(posedge clk)
    if (en) begin
      line  <= {line, expected};
      there <= {there, 1'b1};
    end

  always_comb if (there[CYCLES-1]) assert_later : assert (found == line[CYCLES*BITS-1-:BITS]);
endmodule
