// The frame check sequence of RFC 1662 (CRC-16/X-25, low bit first) after one more byte. No clock.
module ssmq_fcs (
    input  wire  [15:0] fcs,
    input  wire  [ 7:0] data,
    output logic [15:0] next
);
  always_comb begin
    next = fcs ^ {8'd0, data};
    for (int k = 0; k < 8; k++) next = {1'b0, next[15:1]} ^ (next[0] ? 16'h8408 : 16'd0);
  end
endmodule
