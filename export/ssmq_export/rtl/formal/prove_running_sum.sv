// Sums of sequences of at most STEPS steps, which fit into OUT_BITS, signed if OUT_SIGNED.
module prove_running_sum #(
    parameter int STEPS = 3,
    parameter int BEATS = 2,
    parameter int IN_BITS = 2,
    parameter int IN_SIGNED = 1,
    parameter int OUT_BITS = 4,
    parameter int OUT_SIGNED = 1
) (
    input wire               clk,
    input wire               rst,
    input wire               in_valid,
    input wire [IN_BITS-1:0] in_data,
    input wire               in_last,
    input wire               out_ready
);
  localparam int WIDE = OUT_BITS + 2;
  wire in_ready, out_valid, out_last;
  wire [OUT_BITS-1:0] out_data;
  ssmq_running_sum #(.LANES(1), .BEATS(BEATS), .IN_BITS(IN_BITS), .IN_SIGNED(IN_SIGNED), .OUT_BITS(OUT_BITS)) dut (.*);

  // Exact sums of the channels, the next one in the low bits.
  logic [BEATS*WIDE-1:0] sums;
  logic [7:0] beat, step;
  wire take = in_valid & in_ready;
  wire signed [WIDE-1:0] x;
  formal_integer #(.BITS(IN_BITS), .SIGNED(IN_SIGNED), .WIDE(WIDE)) of_code (.code(in_data), .value(x));
  wire signed [WIDE-1:0] sofar = step == 0 ? 0 : sums[WIDE-1:0];
  wire signed [WIDE-1:0] exact = sofar + x;
  always_ff @(posedge clk) begin
    if (take) sums <= {exact, sums} >> WIDE;
    if (rst) {beat, step} <= 0;
    else if (take) begin
      beat <= beat == BEATS - 1 ? 0 : beat + 1;
      if (beat == BEATS - 1) step <= in_last ? 0 : step + 1;
    end
  end
  always_comb if (~rst & in_valid & step == STEPS - 1) assume (in_last);

  formal_reset resets (.*);
  formal_writer #(.BITS(IN_BITS), .BEATS(BEATS), .PATIENCE(0)) writer (
      .valid(in_valid), .ready(in_ready), .data(in_data), .last(in_last), .fair(out_ready), .*);
  formal_rules #(.BITS(OUT_BITS)) rules (.valid(out_valid), .ready(out_ready), .data(out_data), .last(out_last), .*);
  formal_fits #(.BITS(OUT_BITS), .SIGNED(OUT_SIGNED), .WIDE(WIDE)) fits (.valid(take & ~rst), .value(exact));
  formal_owed #(.BITS(OUT_BITS + 1), .ROOM(1), .PATIENCE(0)) owed (
      .push(take & in_last), .pushed({1'b1, exact[OUT_BITS-1:0]}),
      .valid(out_valid), .ready(out_ready), .data({out_last, out_data}), .offered(out_valid), .owed(), .count(), .*);
endmodule
