// What block RAMs have in common, for simulation: 2048 bytes of 9 bits and two ports that read and write.
// Words of 1, 2 and 4 bits leave the ninth bit of a byte alone; an address counts bits of a byte in its lowest three places.
module ssmq_block_ram #(
    parameter integer A_WIDTH = 18,
    parameter integer B_WIDTH = 18,
    parameter integer A_HELD = 0,
    parameter integer B_HELD = 0,
    parameter [2048*9-1:0] INIT = 0
) (
    input             a_clk, a_on, a_write, a_held,
    input      [13:0] a_address,
    input      [ 3:0] a_mask,
    input      [35:0] a_in,
    output     [35:0] a_out,
    input             b_clk, b_on, b_write, b_held,
    input      [13:0] b_address,
    input      [ 3:0] b_mask,
    input      [35:0] b_in,
    output     [35:0] b_out
);
  reg [8:0] memory[0:2047];
  reg [35:0] a_word, a_kept, b_word, b_kept;
  integer i;
  initial for (i = 0; i < 2048; i = i + 1) memory[i] = INIT[9*i+:9];

  function [10:0] first(input integer width, input [13:0] address);
    first = width == 36 ? {address[13:5], 2'b0} : width == 18 ? {address[13:4], 1'b0} : address[13:3];
  endfunction
  function [8:0] changed(input integer width, input [2:0] place, input [8:0] old, input [8:0] data);
    reg [8:0] mask;
    begin
      mask = width > 4 ? 9'h1ff : ((9'd1 << width) - 9'd1) << place;
      changed = width > 4 ? data : (old & ~mask) | ((data << place) & mask);
    end
  endfunction
  wire [10:0] a_byte = first(A_WIDTH, a_address), b_byte = first(B_WIDTH, b_address);
  wire [35:0] a_found = {memory[a_byte|3], memory[a_byte|2], memory[a_byte|1], memory[a_byte]};
  wire [35:0] b_found = {memory[b_byte|3], memory[b_byte|2], memory[b_byte|1], memory[b_byte]};

  integer j, k;
  always @(posedge a_clk) begin
    if (a_on && !a_write) a_word <= A_WIDTH > 4 ? a_found : a_found >> a_address[2:0];
    if (a_held) a_kept <= a_word;
    if (a_on && a_write)
      for (j = 0; 9 * j < A_WIDTH; j = j + 1)
        if (A_WIDTH < 18 || a_mask[j])
          memory[a_byte+j] <= changed(A_WIDTH, a_address[2:0], memory[a_byte+j], a_in[9*j+:9]);
  end
  always @(posedge b_clk) begin
    if (b_on && !b_write) b_word <= B_WIDTH > 4 ? b_found : b_found >> b_address[2:0];
    if (b_held) b_kept <= b_word;
    if (b_on && b_write)
      for (k = 0; 9 * k < B_WIDTH; k = k + 1)
        if (B_WIDTH < 18 || b_mask[k])
          memory[b_byte+k] <= changed(B_WIDTH, b_address[2:0], memory[b_byte+k], b_in[9*k+:9]);
  end
  assign a_out = A_HELD != 0 ? a_kept : a_word;
  assign b_out = B_HELD != 0 ? b_kept : b_word;
endmodule
