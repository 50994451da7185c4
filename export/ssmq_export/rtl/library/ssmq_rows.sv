// A signed multiplier of LUTs, in two cycles: rows of partial products added in pairs, then the pairs.
module ssmq_rows #(
    parameter int A_BITS = 8,
    parameter int B_BITS = 8
) (
    input  wire                             clk,
    input  wire                             en,
    input  wire signed [       A_BITS-1:0] a,
    input  wire        [       B_BITS-1:0] b,
    output logic       [A_BITS+B_BITS-1:0] product
);
  localparam int PB = A_BITS + B_BITS;
  // The row of the sign counts negatively.
  localparam int PAIRS = (B_BITS + 1) / 2;
  logic [PB-1:0] pairs[0:PAIRS-1];
  wire [PB-1:0] wide = PB'(a);
  logic [PB-1:0] total;
  for (genvar i = 0; i < PAIRS; i++) begin : g_pair
    wire [PB-1:0] even = b[2*i] ? wide << (2 * i) : '0;
    if (2 * i + 1 == B_BITS - 1) begin : g_sign
      wire [PB-1:0] odd = b[2*i+1] ? wide << (2 * i + 1) : '0;
      always_ff @(posedge clk) if (en) pairs[i] <= even - odd;
    end else if (2 * i + 1 < B_BITS) begin : g_both
      wire [PB-1:0] odd = b[2*i+1] ? wide << (2 * i + 1) : '0;
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
endmodule
