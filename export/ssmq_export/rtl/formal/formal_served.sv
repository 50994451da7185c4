// A reader of a fork gets every beat once, at the latest when it moves at the input.
module formal_served (
    input wire clk,
    input wire rst,
    input wire in_valid,
    input wire move,
    input wire valid,
    input wire ready
);
  logic got;
  wire  gets = valid & ready;

  always_ff @(posedge clk)
    if (rst | move) got <= 1'b0;
    else if (gets) got <= 1'b1;

  always_comb
    if (~rst) begin
      // Offered at once: no reader waits for another's ready.
      assert_offered : assert (valid == (in_valid & ~got));
      if (move) assert_served : assert (got | gets);
    end
endmodule
