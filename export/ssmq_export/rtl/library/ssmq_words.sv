// The DEPTH words of a file in turn, over and over: ``word`` is there before it is needed, ``next`` asks for the one behind
// it. They are read ahead, so that what they meet need not wait for a memory; the first is ``there`` two cycles after reset.
module ssmq_words #(
    parameter int BITS = 8,
    parameter int DEPTH = 4,
    parameter FILE = "words.mem"
) (
    input  wire            clk,
    input  wire            rst,
    input  wire            next,
    output wire            there,
    output wire [BITS-1:0] word
);
  localparam int AW = DEPTH > 1 ? $clog2(DEPTH) : 1;
  logic [1:0] filled;
  wire [AW-1:0] ahead;
  wire step = next | ~there;
  assign there = filled[1];

  always_ff @(posedge clk)
    if (rst) filled <= '0;
    else filled <= {filled[0], 1'b1};

  ssmq_counter #(
      .COUNT(DEPTH)
  ) place (
      .next(step),
      .count(ahead),
      .*
  );
  ssmq_rom #(
      .BITS (BITS),
      .DEPTH(DEPTH),
      .FILE (FILE)
  ) image (
      .en(step),
      .address(ahead),
      .data(word),
      .*
  );
endmodule
