// Every reader gets every beat once: at the latest in the cycle in which it moves at the input.
module prove_fork #(
    parameter int BITS = 2,
    parameter int READERS = 2
) (
    input wire               clk,
    input wire               rst,
    input wire               in_valid,
    input wire [   BITS-1:0] in_data,
    input wire               in_last,
    input wire [READERS-1:0] out_ready
);
  wire in_ready, out_last;
  wire [READERS-1:0] out_valid;
  wire [BITS-1:0] out_data;
  ssmq_fork #(.BITS(BITS), .READERS(READERS)) dut (.*);

  formal_reset resets (.*);
  formal_writer #(.BITS(BITS), .PATIENCE(0)) writer (
      .valid(in_valid), .ready(in_ready), .data(in_data), .last(in_last), .fair(&out_ready), .*);
  for (genvar reader = 0; reader < READERS; reader++) begin : g_reader
    formal_rules #(.BITS(BITS)) rules (
        .valid(out_valid[reader]), .ready(out_ready[reader]), .data(out_data), .last(out_last), .*);
    formal_served served (.move(in_valid & in_ready), .valid(out_valid[reader]), .ready(out_ready[reader]), .*);
  end
  always_comb if (|out_valid) assert_right : assert ({out_last, out_data} == {in_last, in_data});
endmodule
