// The one multiplier: signed, in three cycles, which are the input, the pipeline and the output register of a block.
// STYLE 0: a multiplier of the device, as the tool infers it; a file of the same module for a family instantiates it with
// its registers. STYLE 1: LUTs, rows of partial products added in pairs first.
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
    // The row of the sign counts negatively.
    localparam int PAIRS = (B_BITS + 1) / 2;
    logic [PB-1:0] pairs[0:PAIRS-1];
    wire [PB-1:0] wide = PB'(a_held);
    logic [PB-1:0] total;
    for (genvar i = 0; i < PAIRS; i++) begin : g_pair
      wire [PB-1:0] even = b_held[2*i] ? wide << (2 * i) : '0;
      if (2 * i + 1 == B_BITS - 1) begin : g_sign
        wire [PB-1:0] odd = b_held[2*i+1] ? wide << (2 * i + 1) : '0;
        always_ff @(posedge clk) if (en) pairs[i] <= even - odd;
      end else if (2 * i + 1 < B_BITS) begin : g_both
        wire [PB-1:0] odd = b_held[2*i+1] ? wide << (2 * i + 1) : '0;
        always_ff @(posedge clk) if (en) pairs[i] <= even + odd;
      end else begin : g_last
        always_ff @(posedge clk) if (en) pairs[i] <= -even;
      end
    end
    always_comb begin
      total = '0;
      for (int i = 0; i < PAIRS; i++) total = total + pairs[i];
    end
    always_ff @(posedge clk) if (en) product <= total;
  end
endmodule
