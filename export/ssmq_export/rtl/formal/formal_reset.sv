// A reset in the first cycle, and in any cycle later.
module formal_reset (
    input wire clk,
    input wire rst
);
  logic begun;
  initial begun = 1'b0;
  always_ff @(posedge clk) begun <= 1'b1;
  always_comb assume (begun | rst);
endmodule
