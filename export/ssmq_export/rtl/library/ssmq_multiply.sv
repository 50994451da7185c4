// The one multiplier: signed, in three cycles, which are the input, the pipeline and the output register of a block.
// STYLE 0: a multiplier of the device, as the tool infers it; a file of the same module for a family instantiates it with
// its registers. STYLE 1: LUTs.
module ssmq_multiply #(
    parameter int A_BITS = 8,
    parameter int B_BITS = 8,
    parameter int STYLE  = 0
) (
    input  wire                      clk,
    input  wire                      en,
    input  wire  [       A_BITS-1:0] a,
    input  wire  [       B_BITS-1:0] b,
    output logic [A_BITS+B_BITS-1:0] product
);
  localparam int PB = A_BITS + B_BITS;
  logic signed [A_BITS-1:0] a_held;
  logic signed [B_BITS-1:0] b_held;
  always_ff @(posedge clk)
    if (en) begin
      a_held <= a;
      b_held <= b;
    end

  if (STYLE == 0) begin : g_block
    logic [PB-1:0] first;
    always_ff @(posedge clk)
      if (en) begin
        first   <= a_held * b_held;
        product <= first;
      end
  end else begin : g_rows
    ssmq_rows #(
        .A_BITS(A_BITS),
        .B_BITS(B_BITS)
    ) rows (
        .a(a_held),
        .b(b_held),
        .*
    );
  end
endmodule
