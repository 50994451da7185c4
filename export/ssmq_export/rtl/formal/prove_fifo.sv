module prove_fifo #(
    parameter int BITS  = 1,
    parameter int DEPTH = 2,
    parameter int READ  = 1
) (
    input wire            clk,
    input wire            rst,
    input wire            in_valid,
    input wire [BITS-1:0] in_data,
    input wire            in_last,
    input wire            out_ready
);
  wire in_ready, out_valid, out_last;
  wire [BITS-1:0] out_data;
  ssmq_fifo #(.BITS(BITS), .DEPTH(DEPTH), .READ(READ)) dut (.*);

  formal_reset resets (.*);
  formal_writer #(.BITS(BITS), .PATIENCE(1)) writer (
      .valid(in_valid), .ready(in_ready), .data(in_data), .last(in_last), .fair(out_ready), .*);
  formal_rules #(.BITS(BITS)) rules (.valid(out_valid), .ready(out_ready), .data(out_data), .last(out_last), .*);
  formal_owed #(.BITS(BITS + 1), .ROOM(DEPTH + READ), .PATIENCE(READ)) owed (
      .push(in_valid & in_ready), .pushed({in_last, in_data}),
      .valid(out_valid), .ready(out_ready), .data({out_last, out_data}), .offered(out_valid), .owed(), .count(), .*);
endmodule
