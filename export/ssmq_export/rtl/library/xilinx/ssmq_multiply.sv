// As ../ssmq_multiply.sv, for AMD 7-series: DSP48E1 with the registers of its inputs, its product and its output, where one
// factor fits into 25 bits and the other into 18. STYLE 1: LUTs. What is wider is left to the tool.
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
  localparam int LONG = A_BITS > B_BITS ? A_BITS : B_BITS, SHORT = PB - LONG;
  if (STYLE == 0 && LONG <= 25 && SHORT <= 18) begin : g_block
    wire [LONG-1:0] wider = A_BITS > B_BITS ? LONG'(a) : LONG'(b);
    wire [SHORT-1:0] narrower = A_BITS > B_BITS ? SHORT'(b) : SHORT'(a);
    wire [47:0] p;
    assign product = p[PB-1:0];
    DSP48E1 #(
        .ACASCREG(1),
        .ADREG(0),
        .ALUMODEREG(0),
        .AREG(1),
        .BCASCREG(1),
        .BREG(1),
        .CARRYINREG(0),
        .CARRYINSELREG(0),
        .CREG(0),
        .DREG(0),
        .INMODEREG(0),
        .MREG(1),
        .OPMODEREG(0),
        .PREG(1),
        .USE_MULT("MULTIPLY"),
        .USE_SIMD("ONE48")
    ) block (
        .CLK(clk), .A({{31 - LONG{wider[LONG-1]}}, wider[LONG-2:0]}), .B({{19 - SHORT{narrower[SHORT-1]}}, narrower[SHORT-2:0]}),
        .C(48'b0), .D(25'b0), .P(p), .ALUMODE(4'b0), .CARRYIN(1'b0), .CARRYINSEL(3'b0), .INMODE(5'b0), .OPMODE(7'b0000101),
        .CEA1(1'b0), .CEA2(en), .CEB1(1'b0), .CEB2(en), .CEM(en), .CEP(en), .CEAD(1'b0), .CEALUMODE(1'b0), .CEC(1'b0),
        .CECARRYIN(1'b0), .CECTRL(1'b0), .CED(1'b0), .CEINMODE(1'b0), .RSTA(1'b0), .RSTALLCARRYIN(1'b0), .RSTALUMODE(1'b0),
        .RSTB(1'b0), .RSTC(1'b0), .RSTCTRL(1'b0), .RSTD(1'b0), .RSTINMODE(1'b0), .RSTM(1'b0), .RSTP(1'b0)
    );
  end else begin : g_held
    logic signed [A_BITS-1:0] a_held;
    logic signed [B_BITS-1:0] b_held;
    always_ff @(posedge clk) if (en) {a_held, b_held} <= {a, b};
    if (STYLE == 0) begin : g_inferred
      logic [PB-1:0] first, second;
      assign product = second;
      always_ff @(posedge clk)
        if (en) begin
          first  <= a_held * b_held;
          second <= first;
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
  end
endmodule
