// DEPTH words of a file of hexadecimal words, read in two cycles: the block RAM's own and its output register.
// A few short words are left to the tool, which makes logic of them.
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
  logic [BITS-1:0] word;

  if (DEPTH > 16 && DEPTH * BITS >= 200) begin : g_block
    (* rom_style = "block", ram_style = "block" *)
    logic [BITS-1:0] memory[0:DEPTH-1];
    initial $readmemh(FILE, memory);
    always_ff @(posedge clk) if (en) word <= memory[address];
  end else begin : g_small
    logic [BITS-1:0] memory[0:DEPTH-1];
    initial $readmemh(FILE, memory);
    always_ff @(posedge clk) if (en) word <= memory[address];
  end
  always_ff @(posedge clk) if (en) data <= word;
endmodule
