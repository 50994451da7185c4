module prove_last_step #(
    parameter int BITS = 2
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
  ssmq_last_step #(.BITS(BITS)) dut (.*);

  formal_reset resets (.*);
  formal_writer #(.BITS(BITS), .PATIENCE(0)) writer (
      .valid(in_valid), .ready(in_ready), .data(in_data), .last(in_last), .fair(out_ready), .*);
  formal_rules #(.BITS(BITS)) rules (.valid(out_valid), .ready(out_ready), .data(out_data), .last(out_last), .*);
  always_comb
    if (~rst) begin
      assert_passed : assert ((out_valid & out_ready) == (in_valid & in_ready & in_last));
      if (out_valid) assert_right : assert ({out_last, out_data} == {in_last, in_data});
    end
endmodule
