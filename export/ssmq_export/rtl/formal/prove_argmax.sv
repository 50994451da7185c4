module prove_argmax #(
    parameter int BEATS = 3,
    parameter int IN_BITS = 2,
    parameter int IN_SIGNED = 1
) (
    input wire               clk,
    input wire               rst,
    input wire               in_valid,
    input wire [IN_BITS-1:0] in_data,
    input wire               in_last,
    input wire               out_ready
);
  localparam int OUT_BITS = $clog2(BEATS);
  wire in_ready, out_valid, out_last;
  wire [OUT_BITS-1:0] out_data;
  ssmq_argmax #(.BEATS(BEATS), .IN_BITS(IN_BITS), .IN_SIGNED(IN_SIGNED)) dut (.*);

  logic signed [15:0] best;
  logic [OUT_BITS-1:0] beat, place;
  wire take = in_valid & in_ready;
  wire full = beat == BEATS - 1;
  wire signed [15:0] x;
  formal_integer #(.BITS(IN_BITS), .SIGNED(IN_SIGNED)) of_code (.code(in_data), .value(x));
  wire larger = beat == 0 || x > best;
  always_ff @(posedge clk) begin
    if (take & larger) {best, place} <= {x, beat};
    if (rst) beat <= 0;
    else if (take) beat <= full ? 0 : beat + 1;
  end

  formal_reset resets (.*);
  formal_writer #(.BITS(IN_BITS), .BEATS(BEATS), .PATIENCE(0)) writer (
      .valid(in_valid), .ready(in_ready), .data(in_data), .last(in_last), .fair(out_ready), .*);
  formal_rules #(.BITS(OUT_BITS)) rules (.valid(out_valid), .ready(out_ready), .data(out_data), .last(out_last), .*);
  formal_owed #(.BITS(OUT_BITS + 1), .ROOM(1), .PATIENCE(0)) owed (
      .push(take & full), .pushed({in_last, larger ? beat : place}),
      .valid(out_valid), .ready(out_ready), .data({out_last, out_data}), .offered(out_valid), .owed(), .count(), .*);
endmodule
