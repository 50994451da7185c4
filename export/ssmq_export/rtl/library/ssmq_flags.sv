// As ssmq_delay, for flags: a reset clears all that are on the way.
module ssmq_flags #(
    parameter int BITS   = 1,
    parameter int CYCLES = 1
) (
    input  wire             clk,
    input  wire             rst,
    input  wire             en,
    input  wire  [BITS-1:0] in,
    output wire  [BITS-1:0] out
);
  logic [CYCLES*BITS-1:0] line;
  assign out = line[CYCLES*BITS-1-:BITS];

  if (CYCLES == 1) begin : g_one
    always_ff @(posedge clk)
      if (rst) line <= '0;
      else if (en) line <= in;
  end else begin : g_line
    always_ff @(posedge clk)
      if (rst) line <= '0;
      else if (en) line <= {line[(CYCLES-1)*BITS-1:0], in};
  end
endmodule
