// Any function of a code, looked up: FILE has a word for every pattern of IN_BITS bits, channel by channel, or once if
// channels have it in COMMON. Latency 2, interval 1.
module ssmq_table #(
    parameter int LANES = 1,
    parameter int BEATS = 4,
    parameter int IN_BITS = 8,
    parameter int OUT_BITS = 8,
    parameter int COMMON = 0,
    parameter FILE = "table.mem"
) (
    input  wire                       clk,
    input  wire                       rst,
    input  wire                       in_valid,
    output wire                       in_ready,
    input  wire  [ LANES*IN_BITS-1:0] in_data,
    input  wire                       in_last,
    output wire                       out_valid,
    input  wire                       out_ready,
    output wire  [LANES*OUT_BITS-1:0] out_data,
    output wire                       out_last
);
  localparam int CHANNELS = COMMON != 0 ? 1 : LANES * BEATS;
  localparam int HB = CHANNELS > 1 ? $clog2(CHANNELS) : 1;
  localparam int AW = $clog2(CHANNELS << IN_BITS);
  localparam int CW = BEATS > 1 ? $clog2(BEATS) : 1;
  wire en = ~out_valid | out_ready;
  wire [CW-1:0] beat;
  wire unused = &{1'b0, beat};
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
      .CYCLES(2)
  ) flags (
      .in ({in_last, in_valid}),
      .out({out_last, out_valid}),
      .*
  );
  for (genvar lane = 0; lane < LANES; lane++) begin : g_lane
    wire [HB-1:0] channel = CHANNELS == 1 ? '0 : HB'(beat) * HB'(LANES) + HB'(lane);
    ssmq_rom #(
        .BITS (OUT_BITS),
        .DEPTH(CHANNELS << IN_BITS),
        .FILE (FILE)
    ) codes (
        .address(AW'({channel, in_data[lane*IN_BITS+:IN_BITS]})),
        .data(out_data[lane*OUT_BITS+:OUT_BITS]),
        .*
    );
  end
endmodule
