// The place of the largest of BEATS elements, of equal ones the first; one beat a step leaves.
// Latency from the last element 1, interval of a step BEATS.
module ssmq_argmax #(
    parameter int BEATS = 10,
    parameter int IN_BITS = 16,
    parameter int IN_SIGNED = 1,
    parameter int OUT_BITS = BEATS > 1 ? $clog2(BEATS) : 1
) (
    input  wire                 clk,
    input  wire                 rst,
    input  wire                 in_valid,
    output wire                 in_ready,
    input  wire  [ IN_BITS-1:0] in_data,
    input  wire                 in_last,
    output logic                out_valid,
    input  wire                 out_ready,
    output logic [OUT_BITS-1:0] out_data,
    output logic                out_last
);
  wire [OUT_BITS-1:0] beat;
  wire final_beat = beat == OUT_BITS'(BEATS - 1);
  wire take = in_valid & in_ready;
  wire signed [IN_BITS:0] x = {IN_SIGNED != 0 && in_data[IN_BITS-1], in_data};
  logic signed [IN_BITS:0] best;
  wire better = beat == '0 || x > best;
  assign in_ready = ~out_valid | out_ready;

  ssmq_counter #(
      .COUNT(BEATS)
  ) place (
      .next(take),
      .count(beat),
      .*
  );
  always_ff @(posedge clk)
    if (take) begin
      out_last <= in_last;
      if (better) begin
        best <= x;
        out_data <= beat;
      end
    end

  always_ff @(posedge clk)
    if (rst) out_valid <= 1'b0;
    else if (in_ready) out_valid <= take & final_beat;
endmodule
