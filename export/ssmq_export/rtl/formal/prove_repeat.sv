module prove_repeat #(
    parameter int BITS = 2,
    parameter int LANES = 1,
    parameter int CHANNELS = 3
) (
    input wire            clk,
    input wire            rst,
    input wire            in_valid,
    input wire [BITS-1:0] in_data,
    input wire            in_last,
    input wire            out_ready
);
  localparam int BEATS = CHANNELS / LANES;
  wire in_ready, out_valid, out_last;
  wire [LANES*BITS-1:0] out_data;
  ssmq_repeat #(.BITS(BITS), .LANES(LANES), .CHANNELS(CHANNELS)) dut (.*);

  // Beats of the element that have left.
  logic [31:0] left;
  wire give = out_valid & out_ready;
  wire full = left == BEATS - 1;
  always_ff @(posedge clk)
    if (rst) left <= 0;
    else if (give) left <= full ? 0 : left + 1;
  for (genvar lane = 1; lane < LANES; lane++) begin : g_lane
    always_comb if (~rst & out_valid) assert_equal : assert (out_data[lane*BITS+:BITS] == out_data[BITS-1:0]);
  end
  logic [BITS:0] before;
  always_ff @(posedge clk) if (give) before <= {out_last, out_data[BITS-1:0]};
  always_comb if (~rst & out_valid & left != 0) assert_one_element : assert ({out_last, out_data[BITS-1:0]} == before);

  formal_reset resets (.*);
  formal_writer #(.BITS(BITS), .PATIENCE(BEATS - 1)) writer (
      .valid(in_valid), .ready(in_ready), .data(in_data), .last(in_last), .fair(out_ready), .*);
  formal_rules #(.BITS(LANES * BITS)) rules (
      .valid(out_valid), .ready(out_ready), .data(out_data), .last(out_last), .*);
  formal_owed #(.BITS(BITS + 1), .ROOM(1), .PATIENCE(0)) owed (
      .push(in_valid & in_ready), .pushed({in_last, in_data}),
      .valid(out_valid & full), .ready(out_ready), .data({out_last, out_data[BITS-1:0]}), .offered(out_valid), .owed(),
      .count(), .*);
endmodule
