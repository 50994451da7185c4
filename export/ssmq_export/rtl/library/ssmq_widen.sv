// TIMES beats of BITS become one, the first in the low bits.
// Latency 1 from the last of them, interval TIMES.
module ssmq_widen #(
    parameter int BITS  = 8,
    parameter int TIMES = 2
) (
    input  wire                   clk,
    input  wire                   rst,
    input  wire                   in_valid,
    output wire                   in_ready,
    input  wire  [      BITS-1:0] in_data,
    input  wire                   in_last,
    output logic                  out_valid,
    input  wire                   out_ready,
    output logic [TIMES*BITS-1:0] out_data,
    output logic                  out_last
);
  localparam int CW = $clog2(TIMES);
  logic [CW-1:0] count;
  logic [(TIMES-1)*BITS-1:0] held;
  wire [TIMES*BITS-1:0] word = {in_data, held};
  wire full = count == CW'(TIMES - 1);
  wire take = in_valid & in_ready;

  // Only the last part of a word needs room for the word.
  assign in_ready = ~full | ~out_valid | out_ready;

  always_ff @(posedge clk)
    if (take) begin
      held <= word[TIMES*BITS-1:BITS];
      if (full) {out_last, out_data} <= {in_last, word};
    end

  always_ff @(posedge clk)
    if (rst) begin
      count <= '0;
      out_valid <= 1'b0;
    end else begin
      if (take) count <= full ? '0 : count + 1'b1;
      if (~out_valid | out_ready) out_valid <= take & full;
    end
endmodule
