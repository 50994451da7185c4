// The sum of every channel over all steps of a sequence, which leaves with the last step; BEATS beats a step.
// Latency 1, interval of a step BEATS.
module ssmq_running_sum #(
    parameter int LANES = 1,
    parameter int BEATS = 4,
    parameter int IN_BITS = 8,
    parameter int IN_SIGNED = 1,
    parameter int OUT_BITS = 16
) (
    input  wire                       clk,
    input  wire                       rst,
    input  wire                       in_valid,
    output wire                       in_ready,
    input  wire  [ LANES*IN_BITS-1:0] in_data,
    input  wire                       in_last,
    output logic                      out_valid,
    input  wire                       out_ready,
    output logic [LANES*OUT_BITS-1:0] out_data,
    output wire                       out_last
);
  // Sums so far of the channels that come next; none in the first step of a sequence.
  wire  [LANES*OUT_BITS-1:0] sofar;
  wire  [LANES*OUT_BITS-1:0] after;
  logic                      fresh;
  wire                       final_beat;
  // Steps that do not leave need no room at the output.
  wire                       take = in_valid & in_ready;
  assign in_ready = ~out_valid | out_ready | ~in_last;
  assign out_last = 1'b1;

  if (BEATS == 1) begin : g_register
    logic [LANES*OUT_BITS-1:0] sums;
    assign sofar = sums;
    assign final_beat = 1'b1;
    always_ff @(posedge clk) if (take) sums <= after;
  end else begin : g_memory
    localparam int CW = $clog2(BEATS);
    logic [LANES*OUT_BITS-1:0] memory[0:BEATS-1];
    logic [LANES*OUT_BITS-1:0] ahead;
    wire [CW-1:0] beat;
    assign sofar = ahead;
    assign final_beat = beat == CW'(BEATS - 1);
    ssmq_counter #(
        .COUNT(BEATS)
    ) place (
        .next(take),
        .count(beat),
        .*
    );
    // The next word is read while this one is written, so that a step takes no longer than its beats.
    always_ff @(posedge clk)
      if (take) begin
        memory[beat] <= after;
        ahead <= memory[final_beat?'0 : beat+1'b1];
      end
  end

  for (genvar lane = 0; lane < LANES; lane++) begin : g_lane
    wire [IN_BITS-1:0] code = in_data[lane*IN_BITS+:IN_BITS];
    wire signed [IN_BITS:0] x = {IN_SIGNED != 0 && code[IN_BITS-1], code};
    wire [OUT_BITS-1:0] sum = fresh ? '0 : sofar[lane*OUT_BITS+:OUT_BITS];
    assign after[lane*OUT_BITS+:OUT_BITS] = sum + OUT_BITS'(x);
  end

  always_ff @(posedge clk) if (take & in_last) out_data <= after;

  always_ff @(posedge clk)
    if (rst) begin
      fresh <= 1'b1;
      out_valid <= 1'b0;
    end else begin
      if (take & final_beat) fresh <= in_last;
      if (~out_valid | out_ready) out_valid <= take & in_last;
    end
endmodule
