// A loop whose layers add 1 each, LATENCY cycles long, which is as long as they may be: a step that has been through all of
// them is SLOTS more than what it was, with its own last, in order, and no other leaves.
module prove_loop #(
    parameter int BITS = 2,
    parameter int SLOTS = 2,
    parameter int BEATS = 2,
    parameter int GAP = 2,
    parameter int IDLE = 0,
    parameter int LATENCY = 8,
    parameter int READ = 1
) (
    input wire            clk,
    input wire            rst,
    input wire            in_valid,
    input wire [BITS-1:0] in_data,
    input wire            in_last,
    input wire            result_ready
);
  wire in_ready, back_ready, out_valid, out_last, result_valid, result_last;
  wire [BITS-1:0] out_data, result_data;
  logic [LATENCY-1:0] there;
  logic [LATENCY*BITS-1:0] codes;
  wire back_valid = there[LATENCY-1];
  wire [BITS-1:0] back_data = codes[LATENCY*BITS-1-:BITS];
  ssmq_loop #(.BITS(BITS), .SLOTS(SLOTS), .BEATS(BEATS), .GAP(GAP), .IDLE(IDLE), .DEPTH(16), .READ(READ)) dut (
      .back_last(1'b0), .out_ready(1'b1), .*);

  always_ff @(posedge clk) begin
    codes <= {codes, out_data + 1'b1};
    if (rst) there <= '0;
    else there <= {there, out_valid};
  end
  always_comb if (~rst & back_valid) assert_room : assert (back_ready);

  formal_reset resets (.*);
  // Hollow steps and a pause may lie before a beat.
  formal_writer #(.BITS(BITS), .BEATS(BEATS), .PATIENCE(2 * SLOTS * (BEATS * GAP + IDLE) + 3)) writer (
      .valid(in_valid), .ready(in_ready), .data(in_data), .last(in_last), .fair(result_ready), .*);
  formal_rules #(.BITS(BITS)) rules (
      .valid(result_valid), .ready(result_ready), .data(result_data), .last(result_last), .*);
  // A step leaves when others come, or hollow ones, which none do within a sequence: no patience is asked for.
  formal_owed #(.BITS(BITS + 1), .ROOM((SLOTS + 2) * BEATS), .PATIENCE(255)) owed (
      .push(in_valid & in_ready), .pushed({in_last, in_data + BITS'(SLOTS)}),
      .valid(result_valid), .ready(result_ready), .data({result_last, result_data}), .offered(result_valid), .owed(),
      .count(), .*);
endmodule
