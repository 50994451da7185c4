// One stream for several readers, each of which takes a beat when it likes; the next comes when all have it.
// Valid passes through; no reader waits for another's ready within a beat. Latency 0, interval 1.
module ssmq_fork #(
    parameter int BITS = 8,
    parameter int READERS = 2
) (
    input  wire                clk,
    input  wire                rst,
    input  wire                in_valid,
    output wire                in_ready,
    input  wire  [   BITS-1:0] in_data,
    input  wire                in_last,
    output wire  [READERS-1:0] out_valid,
    input  wire  [READERS-1:0] out_ready,
    output wire  [   BITS-1:0] out_data,
    output wire                out_last
);
  // Readers that have taken the beat that is there.
  logic [READERS-1:0] served;
  wire [READERS-1:0] done = served | out_ready;

  assign in_ready  = &done;
  assign out_valid = {READERS{in_valid}} & ~served;
  assign out_data  = in_data;
  assign out_last  = in_last;

  always_ff @(posedge clk)
    if (rst) served <= '0;
    else if (in_valid) served <= in_ready ? '0 : done;
endmodule
