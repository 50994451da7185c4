// The beats of a step leave PASSES times: they stay owed until the last pass.
module prove_replay #(
    parameter int BITS   = 1,
    parameter int BEATS  = 2,
    parameter int PASSES = 2,
    parameter int DEPTH  = 4
) (
    input wire            clk,
    input wire            rst,
    input wire            in_valid,
    input wire [BITS-1:0] in_data,
    input wire            in_last,
    input wire            out_ready
);
  localparam int WAIT = BEATS * (PASSES - 1) + 2;
  localparam int ROOM = DEPTH + 1;
  wire in_ready, out_valid, out_last;
  wire [BITS-1:0] out_data;
  ssmq_replay #(.BITS(BITS), .BEATS(BEATS), .PASSES(PASSES), .DEPTH(DEPTH)) dut (.*);

  wire [ROOM*(BITS+1)-1:0] owed;
  wire [$clog2(ROOM+1)-1:0] count;
  logic [7:0] beat, pass;
  wire full = beat == BEATS - 1;
  wire final_pass = pass == PASSES - 1;
  // Where among the owed ones the next beat is, and whether it has come yet.
  wire [7:0] place = final_pass ? 0 : beat;
  wire due = place < count;
  wire [BITS:0] now = owed >> place * (BITS + 1);
  always_ff @(posedge clk)
    if (rst) {beat, pass} <= 0;
    else if (out_valid & out_ready) begin
      beat <= full ? 0 : beat + 1;
      if (full) pass <= final_pass ? 0 : pass + 1;
    end
  always_comb
    if (~rst & out_valid) begin
      assert_due : assert (due);
      assert_again : assert ({out_last, out_data} == now);
    end

  formal_reset resets (.*);
  formal_writer #(.BITS(BITS), .BEATS(BEATS), .PATIENCE(WAIT)) writer (
      .valid(in_valid), .ready(in_ready), .data(in_data), .last(in_last), .fair(out_ready), .*);
  formal_rules #(.BITS(BITS)) rules (.valid(out_valid), .ready(out_ready), .data(out_data), .last(out_last), .*);
  formal_owed #(.BITS(BITS + 1), .ROOM(ROOM), .PATIENCE(1)) to_leave (
      .push(in_valid & in_ready), .pushed({in_last, in_data}), .valid(out_valid & final_pass), .ready(out_ready),
      .offered(out_valid | ~due), .data({out_last, out_data}), .*);
endmodule
