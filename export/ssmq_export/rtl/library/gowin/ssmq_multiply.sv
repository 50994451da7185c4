// As ../ssmq_multiply.sv, for Gowin: MULT9X9 or MULT18X18 with the registers of its inputs, its pipeline and its output,
// where both factors fit. STYLE 1, and what is wider, is left to the tool.
module ssmq_multiply #(
    parameter int A_BITS = 8,
    parameter int B_BITS = 8,
    parameter int STYLE  = 0
) (
    input  wire                      clk,
    input  wire                      en,
    input  wire  [       A_BITS-1:0] a,
    input  wire  [       B_BITS-1:0] b,
    output wire  [A_BITS+B_BITS-1:0] product
);
  localparam int PB = A_BITS + B_BITS;
  if (STYLE == 0 && A_BITS <= 9 && B_BITS <= 9) begin : g_small
    wire [ 8:0] x = {{10 - A_BITS{a[A_BITS-1]}}, a[A_BITS-2:0]};
    wire [ 8:0] y = {{10 - B_BITS{b[B_BITS-1]}}, b[B_BITS-2:0]};
    wire [17:0] p;
    assign product = p[PB-1:0];
    MULT9X9 #(
        .AREG(1'b1),
        .BREG(1'b1),
        .PIPE_REG(1'b1),
        .OUT_REG(1'b1)
    ) block (
        .CLK(clk), .CE(en), .RESET(1'b0), .A(x), .B(y), .DOUT(p),
        .SIA(9'b0), .SIB(9'b0), .ASEL(1'b0), .BSEL(1'b0), .ASIGN(1'b1), .BSIGN(1'b1)
    );
  end else if (STYLE == 0 && A_BITS <= 18 && B_BITS <= 18) begin : g_block
    wire [17:0] x = {{19 - A_BITS{a[A_BITS-1]}}, a[A_BITS-2:0]};
    wire [17:0] y = {{19 - B_BITS{b[B_BITS-1]}}, b[B_BITS-2:0]};
    wire [35:0] p;
    assign product = p[PB-1:0];
    MULT18X18 #(
        .AREG(1'b1),
        .BREG(1'b1),
        .PIPE_REG(1'b1),
        .OUT_REG(1'b1)
    ) block (
        .CLK(clk), .CE(en), .RESET(1'b0), .A(x), .B(y), .DOUT(p),
        .SIA(18'b0), .SIB(18'b0), .ASEL(1'b0), .BSEL(1'b0), .ASIGN(1'b1), .BSIGN(1'b1)
    );
  end else begin : g_inferred
    logic signed [A_BITS-1:0] a_held;
    logic signed [B_BITS-1:0] b_held;
    logic [PB-1:0] first, second;
    assign product = second;
    always_ff @(posedge clk)
      if (en) begin
        a_held <= a;
        b_held <= b;
        first  <= a_held * b_held;
        second <= first;
      end
  end
endmodule
