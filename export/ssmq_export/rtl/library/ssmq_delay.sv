// What came in CYCLES enabled cycles ago; without a reset, so that shift registers of a device may be used.
module ssmq_delay #(
    parameter int BITS   = 1,
    parameter int CYCLES = 1
) (
    input  wire             clk,
    input  wire             en,
    input  wire  [BITS-1:0] in,
    output wire  [BITS-1:0] out
);
  if (CYCLES == 0) begin : g_wire
    wire unused = &{1'b0, clk, en};
    assign out = in;
  end else begin : g_line
    logic [BITS-1:0] line[0:CYCLES-1];
    assign out = line[CYCLES-1];
    always_ff @(posedge clk)
      if (en) begin
        line[0] <= in;
        for (int i = 1; i < CYCLES; i++) line[i] <= line[i-1];
      end
  end
endmodule
