// The states of a scan: a RAM read in two cycles, with a write port of its own.
module ssmq_scan_memory #(
    parameter int BITS  = 16,
    parameter int DEPTH = 40,
    parameter int AW = DEPTH > 1 ? $clog2(DEPTH) : 1
) (
    input  wire             clk,
    input  wire  [  AW-1:0] read_address,
    output logic [BITS-1:0] read_data,
    input  wire             write,
    input  wire  [  AW-1:0] write_address,
    input  wire  [BITS-1:0] write_data
);
  // No word is read in the cycle in which it is written: a mode waits for its loop.
  (* no_rw_check *)
  logic [BITS-1:0] memory[0:DEPTH-1];
  logic [BITS-1:0] word;

  always_ff @(posedge clk) begin
    word <= memory[read_address];
    read_data <= word;
    if (write) memory[write_address] <= write_data;
  end
endmodule
