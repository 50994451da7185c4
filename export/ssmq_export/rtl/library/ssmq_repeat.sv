// An element as CHANNELS equal ones, LANES a beat. Latency 1, interval CHANNELS / LANES.
module ssmq_repeat #(
    parameter int BITS = 8,
    parameter int LANES = 1,
    parameter int CHANNELS = 4
) (
    input  wire                  clk,
    input  wire                  rst,
    input  wire                  in_valid,
    output wire                  in_ready,
    input  wire [      BITS-1:0] in_data,
    input  wire                  in_last,
    output logic                 out_valid,
    input  wire                  out_ready,
    output wire [LANES*BITS-1:0] out_data,
    output logic                 out_last
);
  localparam int BEATS = CHANNELS / LANES;
  localparam int CW = BEATS > 1 ? $clog2(BEATS) : 1;
  wire [CW-1:0] beat;
  logic [BITS-1:0] element;
  wire final_beat = beat == CW'(BEATS - 1);

  assign in_ready = ~out_valid | (out_ready & final_beat);
  assign out_data = {LANES{element}};

  ssmq_counter #(
      .COUNT(BEATS)
  ) place (
      .next(out_valid & out_ready),
      .count(beat),
      .*
  );
  always_ff @(posedge clk) if (in_valid & in_ready) {out_last, element} <= {in_last, in_data};

  always_ff @(posedge clk)
    if (rst) out_valid <= 1'b0;
    else if (in_ready) out_valid <= in_valid;
endmodule
