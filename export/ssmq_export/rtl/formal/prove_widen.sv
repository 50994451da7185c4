module prove_widen #(
    parameter int BITS  = 1,
    parameter int TIMES = 2
) (
    input wire            clk,
    input wire            rst,
    input wire            in_valid,
    input wire [BITS-1:0] in_data,
    input wire            in_last,
    input wire            out_ready
);
  wire in_ready, out_valid, out_last;
  wire [TIMES*BITS-1:0] out_data;
  ssmq_widen #(.BITS(BITS), .TIMES(TIMES)) dut (.*);

  // The parts that have come of a word, the latest on top.
  logic [TIMES*BITS-1:0] parts;
  logic [31:0] came;
  wire take = in_valid & in_ready;
  wire [TIMES*BITS-1:0] word = {in_data, parts[TIMES*BITS-1:BITS]};
  wire full = came == TIMES - 1;
  always_ff @(posedge clk) begin
    if (take) parts <= word;
    if (rst) came <= 0;
    else if (take) came <= full ? 0 : came + 1;
  end

  // Parts of the next word come while a whole one stands.
  always_comb if (~rst & ~full) assert_open : assert (in_ready);

  formal_reset resets (.*);
  formal_writer #(.BITS(BITS), .BEATS(TIMES), .PATIENCE(0)) writer (
      .valid(in_valid), .ready(in_ready), .data(in_data), .last(in_last), .fair(out_ready), .*);
  formal_rules #(.BITS(TIMES * BITS)) rules (.valid(out_valid), .ready(out_ready), .data(out_data), .last(out_last), .*);
  formal_owed #(.BITS(TIMES * BITS + 1), .ROOM(1), .PATIENCE(0)) owed (
      .push(take & full), .pushed({in_last, word}),
      .valid(out_valid), .ready(out_ready), .data({out_last, out_data}), .offered(out_valid), .owed(), .count(), .*);
endmodule
