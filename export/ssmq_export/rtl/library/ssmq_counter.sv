// Counts steps of ``next``, 0 to COUNT - 1 over and over: the place of a beat among those of a step.
module ssmq_counter #(
    parameter int COUNT = 4,
    parameter int CW = COUNT > 1 ? $clog2(COUNT) : 1
) (
    input  wire           clk,
    input  wire           rst,
    input  wire           next,
    output logic [CW-1:0] count
);
  always_ff @(posedge clk)
    if (rst) count <= '0;
    else if (next) count <= count == CW'(COUNT - 1) ? '0 : count + 1'b1;
endmodule
