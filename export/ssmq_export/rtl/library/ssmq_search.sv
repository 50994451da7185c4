// One level of a binary search for how many thresholds a code has reached, for functions that no line gives.
// A lane comes in as {index, code}, KNOWN bits of the index found so far, and leaves with one bit more, with FINAL = 1
// without its code. FILE: the thresholds of this level, 2**KNOWN a channel, channel by channel, or once if channels have
// them in COMMON; a threshold that is not there is larger than every code. Latency 3, interval 1.
module ssmq_search #(
    parameter int LANES = 1,
    parameter int BEATS = 4,
    parameter int CODE_BITS = 8,
    parameter int CODE_SIGNED = 1,
    parameter int KNOWN = 0,
    parameter int FINAL = 0,
    parameter int COMMON = 0,
    parameter int THRESHOLD_BITS = 9,
    parameter FILE = "search.mem",
    parameter int IN_BITS = KNOWN + CODE_BITS,
    parameter int OUT_BITS = KNOWN + 1 + (FINAL != 0 ? 0 : CODE_BITS)
) (
    input  wire                       clk,
    input  wire                       rst,
    input  wire                       in_valid,
    output wire                       in_ready,
    input  wire [  LANES*IN_BITS-1:0] in_data,
    input  wire                       in_last,
    output wire                       out_valid,
    input  wire                       out_ready,
    output wire [LANES*OUT_BITS-1:0]  out_data,
    output wire                       out_last
);
  localparam int DEPTH = (COMMON != 0 ? 1 : LANES * BEATS) << KNOWN;
  localparam int AW = DEPTH > 1 ? $clog2(DEPTH) : 1;
  localparam int CW = BEATS > 1 ? $clog2(BEATS) : 1;
  localparam int CB = (CODE_BITS + 1 > THRESHOLD_BITS ? CODE_BITS + 1 : THRESHOLD_BITS);
  wire en = ~out_valid | out_ready;
  wire [CW-1:0] beat;
  assign in_ready = en;

  ssmq_counter #(
      .COUNT(BEATS)
  ) place (
      .next(in_valid & en),
      .count(beat),
      .*
  );
  ssmq_flags #(
      .BITS  (2),
      .CYCLES(3)
  ) flags (
      .in ({in_last, in_valid}),
      .out({out_last, out_valid}),
      .*
  );
  for (genvar lane = 0; lane < LANES; lane++) begin : g_lane
    wire [IN_BITS-1:0] given = in_data[lane*IN_BITS+:IN_BITS];
    wire [IN_BITS-1:0] met;
    wire [THRESHOLD_BITS-1:0] word;
    wire [AW-1:0] channel = COMMON != 0 ? '0 : AW'(beat) * AW'(LANES) + AW'(lane);
    wire [AW-1:0] address;
    wire signed [THRESHOLD_BITS-1:0] threshold = word;
    wire signed [CODE_BITS:0] code = {CODE_SIGNED != 0 && met[CODE_BITS-1], met[CODE_BITS-1:0]};
    wire reached = CB'(code) >= CB'(threshold);
    logic [OUT_BITS-1:0] found;

    if (KNOWN == 0) begin : g_first
      assign address = channel;
    end else begin : g_later
      assign address = (channel << KNOWN) | AW'(given[IN_BITS-1:CODE_BITS]);
    end
    ssmq_rom #(
        .BITS (THRESHOLD_BITS),
        .DEPTH(DEPTH),
        .FILE (FILE)
    ) thresholds (
        .data(word),
        .*
    );
    ssmq_delay #(
        .BITS  (IN_BITS),
        .CYCLES(2)
    ) wait_threshold (
        .in (given),
        .out(met),
        .*
    );
    if (FINAL != 0 && KNOWN == 0) begin : g_only
      always_ff @(posedge clk) if (en) found <= reached;
    end else if (FINAL != 0) begin : g_final
      always_ff @(posedge clk) if (en) found <= {met[IN_BITS-1:CODE_BITS], reached};
    end else if (KNOWN == 0) begin : g_one
      always_ff @(posedge clk) if (en) found <= {reached, met};
    end else begin : g_more
      always_ff @(posedge clk) if (en) found <= {met[IN_BITS-1:CODE_BITS], reached, met[CODE_BITS-1:0]};
    end
    assign out_data[lane*OUT_BITS+:OUT_BITS] = found;
  end
endmodule
