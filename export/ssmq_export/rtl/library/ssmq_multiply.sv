// The one multiplier: signed, in three cycles, which are the input, the pipeline and the output register of a block.
// STYLE 0: whatever the tool takes for ``*``.
module ssmq_multiply #(
    parameter int A_BITS = 8,
    parameter int B_BITS = 8,
    parameter int STYLE  = 0
) (
    input  wire                             clk,
    input  wire                             en,
    input  wire signed  [       A_BITS-1:0] a,
    input  wire signed  [       B_BITS-1:0] b,
    output logic signed [A_BITS+B_BITS-1:0] product
);
  if (STYLE == 0) begin : g_inferred
    logic signed [A_BITS-1:0] a_held;
    logic signed [B_BITS-1:0] b_held;
    logic signed [A_BITS+B_BITS-1:0] first;
    always_ff @(posedge clk)
      if (en) begin
        a_held  <= a;
        b_held  <= b;
        first   <= a_held * b_held;
        product <= first;
      end
  end else begin : g_none
    $error("ssmq_multiply has no such STYLE");
  end
endmodule
