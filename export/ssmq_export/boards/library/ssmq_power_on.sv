// A reset from configuration on, for 512 cycles: block RAM of an iCE40 gives wrong words for some microseconds after it.
module ssmq_power_on (
    input  wire clk,
    output wire rst
);
  logic [9:0] count;
  initial count = '0;
  assign rst = ~count[9];

  always_ff @(posedge clk) if (rst) count <= count + 1'b1;
endmodule
