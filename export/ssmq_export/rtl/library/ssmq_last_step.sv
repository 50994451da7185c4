// Lets the last step of a sequence through and drops the others. Latency 0, interval 1.
module ssmq_last_step #(
    parameter int BITS = 8
) (
    input  wire            in_valid,
    output wire            in_ready,
    input  wire [BITS-1:0] in_data,
    input  wire            in_last,
    output wire            out_valid,
    input  wire            out_ready,
    output wire [BITS-1:0] out_data,
    output wire            out_last
);
  assign in_ready  = out_ready | ~in_last;
  assign out_valid = in_valid & in_last;
  assign out_data  = in_data;
  assign out_last  = in_last;
endmodule
