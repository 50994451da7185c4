// Every EVERY-th lane of a beat, from FIRST on: one of several tensors that share a stream. Latency 0, interval 1.
module ssmq_lanes #(
    parameter int BITS  = 8,
    parameter int LANES = 1,
    parameter int EVERY = 2,
    parameter int FIRST = 0
) (
    input  wire                        in_valid,
    output wire                        in_ready,
    input  wire [EVERY*LANES*BITS-1:0] in_data,
    input  wire                        in_last,
    output wire                        out_valid,
    input  wire                        out_ready,
    output wire [      LANES*BITS-1:0] out_data,
    output wire                        out_last
);
  wire unused = &{1'b0, in_data};
  assign in_ready  = out_ready;
  assign out_valid = in_valid;
  assign out_last  = in_last;
  for (genvar lane = 0; lane < LANES; lane++) begin : g_lane
    assign out_data[lane*BITS+:BITS] = in_data[(lane*EVERY+FIRST)*BITS+:BITS];
  end
endmodule
