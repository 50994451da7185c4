// DEPTH words of a file of hexadecimal words, read in two cycles: the block RAM's own and its output register.
module ssmq_rom #(
    parameter int BITS = 8,
    parameter int DEPTH = 4,
    parameter FILE = "rom.mem",
    parameter int AW = DEPTH > 1 ? $clog2(DEPTH) : 1
) (
    input  wire             clk,
    input  wire             en,
    input  wire  [  AW-1:0] address,
    output logic [BITS-1:0] data
);
  logic [BITS-1:0] memory[0:DEPTH-1];
  logic [BITS-1:0] word;
  initial $readmemh(FILE, memory);

  always_ff @(posedge clk)
    if (en) begin
      word <= memory[address];
      data <= word;
    end
endmodule
