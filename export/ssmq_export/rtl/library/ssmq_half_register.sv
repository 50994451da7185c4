// As ssmq_register, for beats that come two cycles apart or more: holds one, without what a second one costs.
// Latency 1, interval 2.
module ssmq_half_register #(
    parameter int BITS = 8
) (
    input  wire             clk,
    input  wire             rst,
    input  wire             in_valid,
    output wire             in_ready,
    input  wire  [BITS-1:0] in_data,
    input  wire             in_last,
    output logic            out_valid,
    input  wire             out_ready,
    output logic [BITS-1:0] out_data,
    output logic            out_last
);
  assign in_ready = ~out_valid;

  always_ff @(posedge clk) if (in_ready) {out_last, out_data} <= {in_last, in_data};

  always_ff @(posedge clk)
    if (rst) out_valid <= 1'b0;
    else out_valid <= out_valid ? ~out_ready : in_valid;
endmodule
