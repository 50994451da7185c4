// A register between two streams: cuts every combinational path, valid, data and ready alike.
// Holds two beats, so that it passes one a cycle although ready comes a cycle late.
// Latency 1, interval 1.
module ssmq_register #(
    parameter int BITS = 8
) (
    input  wire             clk,
    input  wire             rst,
    input  wire             in_valid,
    output logic            in_ready,
    input  wire  [BITS-1:0] in_data,
    input  wire             in_last,
    output logic            out_valid,
    input  wire             out_ready,
    output logic [BITS-1:0] out_data,
    output logic            out_last
);
  // What came in while the output was stalled.
  logic [BITS:0] spare;
  wire stalled = out_valid & ~out_ready;

  always_ff @(posedge clk)
    if (rst) in_ready <= 1'b1;
    else if (~stalled) in_ready <= 1'b1;
    else if (in_valid) in_ready <= 1'b0;

  always_ff @(posedge clk) if (in_ready) spare <= {in_last, in_data};

  always_ff @(posedge clk)
    if (rst) out_valid <= 1'b0;
    else if (~stalled) out_valid <= in_valid | ~in_ready;

  always_ff @(posedge clk) if (~stalled) {out_last, out_data} <= in_ready ? {in_last, in_data} : spare;
endmodule
