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
  // An element is taken, compared, and put in its place, a cycle each: nothing comes faster than a line tells it.
  logic signed [IN_BITS:0] x, best, second;
  logic [7:0] beat;
  logic taken, compared, better, nearer, ended;
  wire final_beat = beat == 8'(BEATS - 1);
  wire take = in_valid & in_ready;

  assign in_ready = ~(taken | compared | ended | out_valid);

  always_ff @(posedge clk) if (take) x <= {IN_SIGNED != 0 && in_data[IN_BITS-1], in_data};

  always_ff @(posedge clk) begin
    better <= beat == '0 || x > best;
    nearer <= beat == 8'd1 || x > second;
  end

  always_ff @(posedge clk)
    if (compared) begin
      if (better) begin
        best <= x;
        second <= best;
        place <= beat;
      end else if (nearer) second <= x;
    end

  // Both ends have IN_BITS + 1 bits, so that their difference is right modulo 2**32.
  always_ff @(posedge clk) margin <= 32'(best) - 32'(second);

  always_ff @(posedge clk)
    if (rst) begin
      beat <= '0;
      {taken, compared, ended} <= 3'b000;
      out_valid <= 1'b0;
    end else begin
      {taken, compared} <= {take, taken};
      if (compared) beat <= final_beat ? '0 : beat + 1'b1;
      ended <= compared & final_beat;
      if (ended) out_valid <= 1'b1;
      else if (out_ready) out_valid <= 1'b0;
    end
endmodule
