module prove_narrow #(
    parameter int BITS  = 1,
    parameter int TIMES = 2
) (
    input wire                  clk,
    input wire                  rst,
    input wire                  in_valid,
    input wire [TIMES*BITS-1:0] in_data,
    input wire                  in_last,
    input wire                  out_ready
);
  wire in_ready, out_valid, out_last;
  wire [BITS-1:0] out_data;
  ssmq_narrow #(.BITS(BITS), .TIMES(TIMES)) dut (.*);

  // The parts that have left, the latest on top.
  logic [TIMES*BITS-1:0] parts;
  logic [31:0] left;
  logic was_last;
  wire give = out_valid & out_ready;
  wire [TIMES*BITS-1:0] word = {out_data, parts[TIMES*BITS-1:BITS]};
  wire full = left == TIMES - 1;
  always_ff @(posedge clk) begin
    if (give) begin
      parts <= word;
      was_last <= out_last;
    end
    if (rst) left <= 0;
    else if (give) left <= full ? 0 : left + 1;
  end
  always_comb if (~rst & out_valid & left != 0) assert_one_step : assert (out_last == was_last);

  formal_reset resets (.*);
  formal_writer #(.BITS(TIMES * BITS), .PATIENCE(TIMES - 1)) writer (
      .valid(in_valid), .ready(in_ready), .data(in_data), .last(in_last), .fair(out_ready), .*);
  formal_rules #(.BITS(BITS)) rules (.valid(out_valid), .ready(out_ready), .data(out_data), .last(out_last), .*);
  formal_owed #(.BITS(TIMES * BITS + 1), .ROOM(1), .PATIENCE(0)) owed (
      .push(in_valid & in_ready), .pushed({in_last, in_data}),
      .valid(out_valid & full), .ready(out_ready), .data({out_last, word}), .offered(out_valid), .owed(), .count(), .*);
endmodule
