// Of BEATS elements the place of the largest, of equal ones the first, and how far the next largest is below it.
module ssmq_best #(
    parameter int BEATS = 10,
    parameter int IN_BITS = 16,
    parameter int IN_SIGNED = 1
) (
    input  wire                clk,
    input  wire                rst,
    input  wire                in_valid,
    output wire                in_ready,
    input  wire  [IN_BITS-1:0] in_data,
    output logic               out_valid,
    input  wire                out_ready,
    output logic [        7:0] place,
    output logic [       31:0] margin
);
  wire signed [IN_BITS:0] x = {IN_SIGNED != 0 && in_data[IN_BITS-1], in_data};
  logic signed [IN_BITS:0] best, second;
  logic [7:0] beat;
  wire first = beat == '0;
  wire better = first || x > best;
  wire final_beat = beat == 8'(BEATS - 1);
  wire take = in_valid & in_ready;
  logic ended;

  assign in_ready = ~ended & ~out_valid;

  always_ff @(posedge clk)
    if (take) begin
      if (better) begin
        best <= x;
        second <= best;
        place <= beat;
      end else if (beat == 8'd1 || x > second) second <= x;
    end

  // Both ends have IN_BITS + 1 bits, so that their difference is right modulo 2**32.
  always_ff @(posedge clk) margin <= 32'(best) - 32'(second);

  always_ff @(posedge clk)
    if (rst) begin
      beat <= '0;
      ended <= 1'b0;
      out_valid <= 1'b0;
    end else begin
      if (take) beat <= final_beat ? '0 : beat + 1'b1;
      ended <= take & final_beat;
      if (ended) out_valid <= 1'b1;
      else if (out_ready) out_valid <= 1'b0;
    end
endmodule
